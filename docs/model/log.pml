/* The event log and one consumer group: writers that commit in another order than they began, two readers.

   A transaction's number is the position of its event. A reader's statement takes its snapshot, then the lock on the
   group's row, then reads the position and the events; it delivers and moves the position at its commit.
   What is checked and what each mutation (#ifdef) shows is in README.md. */

#ifndef WRITERS
#define WRITERS 4           /* at most 4: the sets below name them */
#endif
#define READERS 2
#define bit(x) (1 << (x))
#define upto(x) ((1 << ((x) + 1)) - 1)
#define first(set) ((set) & 2 -> 1 : ((set) & 4 -> 2 : ((set) & 8 -> 3 : 4)))
#define last(set) ((set) & 16 -> 4 : ((set) & 8 -> 3 : ((set) & 4 -> 2 : 1)))

byte number = 1;                        /* the next transaction's number */
byte position;                        /* the group's row */
bool locked;                          /* the lock on it */
byte open, committed, delivered;      /* sets of transactions, one bit each */
byte deaths = 2;                      /* readers that may be lost in the midst of a statement */

proctype Writer() {
    byte me;
    atomic { me = number; number++; open = open | bit(me) }
    atomic {
        open = open & ~bit(me);
        if
        :: assert(me > position);  /* L1: the readers have passed it by */
           committed = committed | bit(me)
        :: true  /* rolled back */
        fi }
}

proctype Reader() {
    byte visible, below, from, batch;
    do
    :: atomic { visible = committed; below = (open -> first(open) : number); from = position };
        if
        :: atomic { !locked ->
            locked = true;
#ifndef ADVISORY_LOCK
            from = position;  /* locking the row brings its newest version; an advisory lock brings nothing */
#endif
#ifdef NO_HORIZON
            below = number;
#endif
            batch = visible & ~upto(from) & upto(below - 1);
#ifdef MOVE_FIRST
            position = (batch -> last(batch) : position)
#endif
            };
            atomic {
                if
                :: assert(!(delivered & batch));  /* L2 */
                   delivered = delivered | batch; position = (batch -> last(batch) : position)
                :: deaths -> deaths--  /* its transaction is rolled back */
                fi;
                assert(!(committed & upto(position) & ~delivered));  /* L1: nothing below the position is left out */
                locked = false }
        :: locked  /* SKIP LOCKED */
        fi;
        atomic { visible = 0; below = 0; from = 0; batch = 0 }
    od
}

init {
    byte n;
    atomic {
        do :: n < WRITERS -> run Writer(); n++ :: else -> break od;
        n = 0;
        do :: n < READERS -> run Reader(); n++ :: else -> break od }
}

#ifdef LIVE
ltl arrives { <>[] (number == WRITERS + 1 && !open && delivered == committed) }  /* L3 */
#endif
