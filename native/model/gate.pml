/* Sleeping and waking of native/ring/gate.cc: senders publish and wake, a thread sleeps on the futex word, event loops
 * wait for their bells. A sender may die before each of its steps. A store of `head` stays in the store buffer of its
 * processor until the fence.
 *
 * Shown: without deaths nobody sleeps while there is something for him; with deaths a sleeper misses at most one wake
 * for each of them, and his slice ends that sleep. Variants:
 *   (none)         with deaths
 *   -DDEATHS=0     without
 *   -DNO_FENCE     wrong: no fence between `head` and the flags (is refuted)
 *   -DNO_RECHECK   wrong: a sleeper does not look again after having set his flag (is refuted)
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 1
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef LOOPS
#define LOOPS 1
#endif
#define THREADS 1
#define BELLS 2

byte head, sequence, flags, deaths;
bool armed[2], bell[2];
bool sleeping;

#define STEP if :: deaths < DEATHS -> deaths++; goto died :: true fi

proctype Sender() {
  byte sent, taken, loop;
  bool buffered;
  do
  :: sent == MESSAGES -> break
  :: else ->
    STEP;
    sent++;
    buffered = true;
#ifndef NO_FENCE
    STEP;
    atomic { head++; buffered = false };
#endif
    STEP;
    if
    :: flags == 0
    :: flags != 0 ->
      STEP;
      atomic { taken = flags; flags = 0 };
      STEP;
      if
      :: taken & THREADS -> sequence++; STEP; sleeping = false
      :: else
      fi;
      STEP;
      if
      :: taken & BELLS ->
        loop = 0;
        do
        :: loop < LOOPS ->
          if
          :: armed[loop] -> armed[loop] = false; STEP; bell[loop] = true
          :: else
          fi;
          STEP;
          loop++
        :: else -> break
        od
      :: else
      fi
    fi;
#ifdef NO_FENCE
    atomic { head++; buffered = false }
#endif
  od;
  goto ended;
died:
  /* What it had stored is seen by the others all the same. */
  atomic { if :: buffered -> head++; buffered = false :: else fi };
ended:
  skip
}

/* Channel::wait in a loop. */
proctype Thread() {
  byte cursor, known, slices;
  do
  :: cursor != head -> cursor = head
  :: else ->
    known = sequence;
    flags = flags | THREADS;
#ifndef NO_RECHECK
    if :: cursor != head -> goto next :: else fi;
#endif
    atomic { if :: sequence == known -> sleeping = true :: else -> goto next fi };
    if
    :: !sleeping
    :: timeout ->
      sleeping = false;
      if :: cursor == head -> break :: else fi;
      slices++;
      assert(slices <= deaths)
    fi;
next:
    skip
  od
}

/* Bell.arm, and the listener that is called after a ring or with a tick. */
proctype Loop(byte me) {
  byte cursor, slices;
  do
  :: cursor != head -> cursor = head
  :: else ->
    armed[me] = true;
    flags = flags | BELLS;
#ifndef NO_RECHECK
    if :: cursor != head -> goto next :: else fi;
#endif
    if
    :: bell[me] -> bell[me] = false
    :: timeout ->
      if :: cursor == head -> break :: else fi;
      slices++;
      assert(slices <= deaths)
    fi;
next:
    skip
  od
}

init {
  atomic {
    byte i;
    for (i : 1 .. SENDERS) { run Sender() };
    run Thread();
    for (i : 1 .. LOOPS) { run Loop(i - 1) }
  }
}
