"""The claim-run-renew-finish loop that both workers share."""
