/* The life of one job: leases, heartbeat, fencing, rescue, cancel, hand-back, lost answers, outage.

   One job, two workers, one database that makes every statement atomically, one clock. A statement is sent, made and
   answered in three steps, so anything may come between. A healthy worker makes one round of statements every tick
   (the clock waits for it, not for one that is paused). All counters saturate or are bounded: the model is finite.
   Numbers are small on purpose; what they bound is in README.md, as are the mutations (#ifdef: one guard each). */

#ifndef LEASE
#define LEASE 3            /* ticks; the heartbeat is one tick */
#endif
#ifndef FAULTS
#define FAULTS 2           /* crashes, pauses, lost or late statements, foreign row locks: together */
#endif
#ifndef OUTAGES
#define OUTAGES 1          /* of the database, of any length */
#endif
#ifndef RETRIES
#define RETRIES 1          /* calls of RetryJob */
#endif
#ifndef LEGS
#define LEGS 1             /* 2: a job may end its extraction as partial and be refined */
#endif
#ifndef MAX_ATTEMPTS
#define MAX_ATTEMPTS 2
#endif
#ifndef MAX_LAPSES
#define MAX_LAPSES 2
#endif
#ifndef HAND_BACKS
#define HAND_BACKS 1       /* free ones; from then on each counts as a lapse */
#endif

mtype = { Q, R, S, F, C }                       /* waiting, held, succeeded, failed, cancelled */
mtype = { CLAIM, RENEW, OK, PART, BAD, AGAIN, BACK }  /* statements of a holder; PART ends leg 1 of 2 */
mtype = { YES, NO, UNKNOWN }                    /* answers */

/* The job's row, and the ends that outlive it. */
mtype state = Q, out;
byte leg = 1, token, seq, lapses, attempt, hand_backs, holder, lease, out_token;
bool down, locked, picked;  /* picked: a rescue has chosen the row and not yet locked it */
byte faults = FAULTS, outages = OUTAGES, retries = RETRIES;

/* What only the properties read: events so far, final ones of this series, claims before it, tokens given up. */
byte logged, finals, base, cancelled;

typedef Worker {
    bool up = true;        /* not paused; a crash is a restart with nothing remembered */
    byte has, left;        /* token it believes to hold, ticks left by its own countdown */
    mtype want;            /* RENEW while the work goes on, else how to end the lease */
    byte renewals;         /* counted for liveness only: there a run ends, after more than a lease */
    mtype asks, answer;    /* the statement under way, 0: none */
    byte sent, got;        /* its own countdown since it was sent, the token a claim brings */
    bool due = true;       /* has a statement to make before the clock goes on */
    bool unsure;           /* a statement of its own had no answer */
    byte fresh = LEASE + 1;/* ticks since the first answer after the last such gap, plus one */
    bool trouble           /* had a fault of its own: not the healthy one the outage property is about */
}
Worker w[2];
mtype z; byte z_with, z_who;  /* a statement whose sender gave up, and which may still be made */

#define alive (!over || retries && state != S)
#define over (state == S || state == F || state == C)
#define working(i) (w[i].up && w[i].has && w[i].want == RENEW && w[i].left)
#define alone(i) (!working(i) || !working(1 - i) || w[i].has == cancelled || w[1 - i].has == cancelled)
#define waits (locked && (w[i].asks != CLAIM && w[i].asks != RENEW))  /* claim and renewal skip a locked row */

#ifdef NO_TOKEN
#define token_fits(t) true
#elif defined(TOKEN_RESTARTS)
#define token_fits(t) ((t > base -> t - base : t) == token - base)
#else
#define token_fits(t) (t == token)
#endif
#ifdef NO_STATE
#define fits(t) (token_fits(t) && token)
#else
#define fits(t) (token_fits(t) && state == R)
#endif

inline log() { assert(seq == logged + 1); /* P5 */ logged = seq }
inline free() { seq++; holder = 0; lease = 0 }
inline finish(to) {
    free(); state = to;
    if
    :: log(); finals++; assert(finals == 1)  /* P1 */
#ifdef EVENT_APART
    :: true  /* the process died between its two statements */
#endif
    fi
}
inline lapse() {  /* the run is not counted, the lapse is */
    attempt--;
#ifndef FREE_LAPSES
    lapses++;
#endif
    if :: lapses >= MAX_LAPSES -> finish(F) :: else -> free(); state = Q; log() fi
}
inline series() { base = token; attempt = 0; lapses = 0; hand_backs = 0 }

/* The database makes statement `what` of worker `who`; `reply` and `grant` are its answer. */
inline make(what, t, who) {
    reply = NO; grant = 0;
    if
    :: what == CLAIM ->
        if
        :: state == Q && !locked ->
            free(); state = R; token++; attempt++; holder = who; lease = LEASE; grant = token; log();
            assert(token - base <= MAX_ATTEMPTS + MAX_LAPSES + HAND_BACKS - 1)  /* P6 */
        :: else
        fi
    :: what == RENEW ->
        if
        :: locked -> reply = UNKNOWN
        :: !locked && state == R && t == token -> lease = LEASE; reply = YES
        :: else
        fi
    :: else ->
        if
        :: fits(t) ->
            assert(t == token && state == R || over); /* P2, what is over is P1's */ reply = YES;
            if
            :: what == OK -> out = OK; out_token = t; finish(S)
            :: what == BAD -> out = BAD; out_token = t; finish(F)
            :: what == PART -> out = PART; out_token = t; free(); state = Q; leg = 2; series(); log()
            :: what == AGAIN -> free(); state = Q; log()
            :: what == BACK ->
                assert(!who || (!working(who - 1) || w[who - 1].has != t) && w[who - 1].got != t);  /* P8 */
                if
                :: hand_backs < HAND_BACKS -> hand_backs++; attempt--; free(); state = Q; log()
                :: else -> lapse()
                fi
            fi
#ifndef NONE_IS_LOST
        :: !fits(t) && out == what && out_token == t -> reply = YES  /* it was mine: an answer was lost */
#endif
        :: else
        fi
    fi
}

inline ask(what) {
    w[i].asks = what; w[i].sent = (what == CLAIM || what == RENEW -> LEASE : 0)
}
inline silent() { w[i].asks = 0; w[i].answer = 0; w[i].got = 0; w[i].sent = 0 }
inline fail() { silent(); w[i].due = false; w[i].fresh = 0; w[i].unsure = true }
inline answered() { silent(); w[i].due = false; w[i].fresh = (w[i].fresh -> w[i].fresh : 1) }
inline drop() { w[i].renewals = 0; w[i].has = 0; w[i].left = 0; w[i].want = 0 }

#ifdef LIVE
#define runs_on (w[i].renewals < LEASE)
#define count_renewal w[i].renewals++
#else
#define runs_on true
#define count_renewal skip
#endif
#define claimable (state == Q && (token || !i))  /* the workers are alike: the first claim is worker 0's */
#ifdef EAGER_HAND_BACK
#define may_claim true
#define may_look true
#else
#define may_claim !w[i].unsure  /* never both at a time */
#define may_look !w[i].asks
#endif

proctype Work(byte i) {
    mtype reply; byte grant;
    do
    /* It asks: a claim if it has nothing, else what its lease needs. */
    :: atomic { w[i].up && w[i].due && !w[i].asks && !w[i].has && may_claim && claimable -> ask(CLAIM) }
    :: atomic { w[i].up && w[i].due && !w[i].asks && !w[i].has && !w[i].unsure && !claimable ->  /* nothing to claim: a poll */
        if :: !down -> answered() :: down -> fail() fi }
    :: atomic { w[i].up && w[i].due && !w[i].asks && w[i].want == RENEW && runs_on -> ask(RENEW) }
    :: atomic { w[i].up && w[i].due && !w[i].asks && w[i].has && w[i].want != RENEW -> ask(w[i].want) }
    /* The work ends: well, badly, badly for now, or by a drain. */
    :: atomic { working(i) && !w[i].asks ->
        if
        :: w[i].want = (LEGS == 2 && leg == 1 -> PART : OK)
        :: w[i].want = OK
        :: w[i].want = BAD
        :: attempt < MAX_ATTEMPTS -> w[i].want = AGAIN
        :: w[i].want = BACK
        fi }
    /* Its statement is made, whether or not it still waits for it. */
    :: atomic { w[i].asks && !w[i].answer && !down && !waits ->
        make(w[i].asks, w[i].has, (i + 1)); w[i].answer = reply; w[i].got = grant; reply = 0; grant = 0 }
    /* The answer comes. */
    :: atomic { w[i].up && w[i].answer && !down ->
        if
        :: w[i].asks == CLAIM && w[i].got ->
#ifdef COUNTDOWN_FROM_ANSWER
            w[i].sent = LEASE;
#endif
            w[i].has = w[i].got; w[i].left = w[i].sent; w[i].want = (w[i].left -> RENEW : BACK);
            assert(alone(i))  /* P3 */
        :: w[i].asks == RENEW && w[i].answer == YES ->
            count_renewal;
#ifdef COUNTDOWN_FROM_ANSWER
            w[i].sent = LEASE;
#endif
            w[i].left = w[i].sent
#ifndef LOCKED_IS_LOST
        :: w[i].asks == RENEW && w[i].answer == UNKNOWN -> w[i].trouble = true
        :: w[i].asks == RENEW && w[i].answer == NO ->
#else
        :: w[i].asks == RENEW && w[i].answer != YES ->
#endif
            assert(w[i].has != token || state != R); /* P9 */ drop()
        :: w[i].asks != CLAIM && w[i].asks != RENEW ->
            assert(w[i].answer == YES || w[i].asks != out || w[i].has != out_token); /* P10 */ drop()
        :: else
        fi;
        answered() }
    /* Or it does not: the database is down, the row locked for too long, the request or the answer lost, the sender impatient. */
    :: atomic { w[i].up && w[i].asks && down -> fail() }
    :: atomic { w[i].up && w[i].asks && !w[i].answer && waits -> w[i].trouble = true; fail() }
    :: atomic { w[i].up && w[i].asks && !down && faults -> faults--; w[i].trouble = true; fail() }
    :: atomic { w[i].up && w[i].asks && !w[i].answer && faults && !z ->
        faults--; w[i].trouble = true; z = w[i].asks; z_with = w[i].has; z_who = i + 1; fail() }
    /* After that: what the database says it holds and it does not know, it hands back. No claim is under way. */
    :: atomic { w[i].up && w[i].unsure && !w[i].has && !down && may_look -> w[i].unsure = false;
        if
        :: state == R && holder == i + 1 ->
#ifndef EAGER_HAND_BACK
            w[i].has = token; w[i].want = BACK
#else
            make(BACK, token, (i + 1)); reply = 0
#endif
        :: else
        fi }
    :: atomic { w[i].up && w[i].due && w[i].unsure && !w[i].has && !w[i].asks && down -> fail() }
    od
}

#ifdef NO_GAP_RULE
#define may_rescue(i) w[i].up
#else
#define may_rescue(i) (w[i].up && w[i].fresh > LEASE)
#endif

/* Every worker's rescue: the row is picked, then locked and looked at again. */
proctype Rescue() {
    do
#ifndef NO_RESCUE
    :: atomic { !picked && !down && !locked && state == R && !lease && (may_rescue(0) || may_rescue(1)) -> picked = true }
    :: atomic { picked && !locked ->
            picked = false;
            if
#ifdef BLIND_RESCUE
            :: state == R ->
#else
            :: state == R && !lease ->
#endif
                assert(!holder || !working(holder - 1) || w[holder - 1].has != token);  /* P3 */
                assert(!holder || w[holder - 1].trouble);  /* P7 */
                lapse()
            :: else
            fi }
#endif
    :: atomic { z && !down && (!locked || z == CLAIM || z == RENEW) ->  /* the late statement is made */
        mtype reply; byte grant;
        make(z, z_with, z_who); z = 0; z_with = 0; z_who = 0; reply = 0; grant = 0 }
    od
}

#define less(x) x = (x -> x - 1 : 0)
inline tick(i) {
    less(w[i].left); less(w[i].sent);
    if :: w[i].has && !w[i].left && w[i].want -> w[i].want = BACK :: else fi;  /* it stops itself */
    if
#ifndef RARE_RESCUE
    :: down && w[i].up -> w[i].fresh = 0  /* its rescue asks several times a heartbeat: it saw this outage */
#endif
    :: !down && w[i].up && w[i].fresh && w[i].fresh <= LEASE -> w[i].fresh++
    :: else
    fi;
    w[i].due = true
}
proctype Clock() {
    do
    :: atomic { (!w[0].up || !w[0].due) && (!w[1].up || !w[1].due) ->
        assert(over == (finals == 1));  /* P1 */
        assert(logged == seq);  /* P5 */
        less(lease); tick(0); tick(1) }
    od
}

inline crash(i) {
    if
    :: w[i].asks && !w[i].answer && !z -> z = w[i].asks; z_with = w[i].has; z_who = 0
    :: true
    fi;
    if :: holder == i + 1 -> holder = 0 :: else fi;  /* the new process has another id */
    if :: z_who == i + 1 -> z_who = 0 :: else fi;
    silent(); drop(); w[i].unsure = false; w[i].fresh = 0; w[i].trouble = false; w[i].due = true
}
proctype World() {
    byte i;
    do
    :: atomic { alive && !down && outages -> outages--; down = true; picked = false }
    :: atomic { down -> down = false }
    :: atomic { alive && !locked && faults && !down -> faults--; locked = true }
    :: atomic { locked -> locked = false }
    :: atomic { alive && faults -> faults--; if :: i = 0 :: i = 1 fi; crash(i); w[i].up = true; i = 0 }
    :: atomic { alive && faults -> if :: w[0].up -> i = 0 :: w[1].up -> i = 1 fi; faults--; w[i].up = false; w[i].trouble = true; i = 0 }
    :: atomic { !w[0].up || !w[1].up -> if :: !w[0].up -> i = 0 :: !w[1].up -> i = 1 fi;
        w[i].up = true;
#ifndef GAP_BY_FAILURES
        w[i].fresh = 0;  /* a pause is a gap too */
#endif
        assert(alone(i)); /* P3 */ i = 0 }
    od
}

#define cancel_from(a, b) if :: a || b -> if :: state == R -> cancelled = token :: else fi; finish(C); hit = true :: else fi
proctype Client() {
    bool hit;
    if
    :: atomic { !down && !locked && state == Q && leg == 1 -> finish(C) }  /* without allow_running */
#ifdef TWO_STEP_CANCEL
    :: atomic { !down && !locked -> cancel_from(state == Q, false) };
       atomic { !down && !locked -> if :: !hit -> cancel_from(state == R, false) :: else fi; assert(hit || over) }  /* P4 */
#elif defined(CANCEL_ANY)
    :: atomic { !down && !locked -> finish(C) }
#else
#ifndef REFINEMENT_FIRST
#define FIRST 1
#else
#define FIRST 2
#endif
    :: atomic { !down && !locked -> cancel_from(leg == FIRST && state == Q, leg == FIRST && state == R) };
       atomic { !down && !locked ->
        if :: !hit -> cancel_from(leg == 3 - FIRST && state == Q, leg == 3 - FIRST && state == R) :: else fi;
        assert(hit || over) }  /* P4 */
#endif
    :: true
    fi;
    do
    :: atomic { retries && !down && !locked && (state == F || state == C) ->
        retries--; seq++; finals = 0; state = Q; series(); log() }
    od
}

init { atomic { run Work(0); run Work(1); run Rescue(); run Clock(); run World(); run Client() } }

#ifdef LIVE
ltl ends { <>[] over }  /* P11 */
#endif
