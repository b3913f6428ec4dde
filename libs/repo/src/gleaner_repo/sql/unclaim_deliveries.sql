-- Puts back what a claim took whose answer was lost, as if it had not been made: SENDING -> PENDING, without counting the
-- attempt, and due since when it was.
-- $1 uuid the claim. Index: deliveries_sending_idx, all of it: as many rows as are being sent.
-- Trap: a claim's id stands in no other claim, so what somebody else took meanwhile is left to him.
UPDATE deliveries
SET state = 'PENDING', ready = true, holder = NULL, lease_expires_at = NULL, attempt = deliveries.attempt - 1
WHERE deliveries.state = 'SENDING' AND deliveries.holder = $1
