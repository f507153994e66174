/* The lock word of native/ring/lock.cc: taking, waiting, stealing from the dead, while slots are claimed anew and
 * probed by others. A process may die before each of its steps; what it held is then free.
 *
 * Shown: never two living owners; nobody who wants the lock stays without it. Variants:
 *   (none)         a slice of a sleeper ends only when nothing else moves: a lost wake costs time and nothing else
 *   -DEARLY        a slice may end at any moment
 *   -DEARLY -DPROBE_ONLY   wrong: whoever finds the byte free takes the lock without comparing the word (is refuted)
 */
#ifndef SLOTS
#define SLOTS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef DEATHS
#define DEATHS 2
#endif

#define MINE (me + 1 + 8 * generation[me])
#define W 64

byte word;             /* slot + 1 | generation << 3 | waiters << 6 */
byte generation[SLOTS];
bool held[SLOTS];      /* the byte lock of a slot */
bool asleep[SLOTS];
bool inside[SLOTS];
byte deaths, owners;

/* A step that the process may not live to take. */
#define STEP if :: deaths < DEATHS -> deaths++; goto died :: true fi
#define SLOT_OF(w) ((w & 7) - 1)
#define GENERATION_OF(w) ((w >> 3) & 7)
#define ENTER inside[me] = true; owners++; assert(owners == 1)

inline wake_one() {
  if
  :: asleep[0] -> asleep[0] = false
  :: asleep[1] -> asleep[1] = false
#if SLOTS > 2
  :: asleep[2] -> asleep[2] = false
#endif
  :: else
  fi
}

proctype Member(byte me) {
  byte round, seen, was;
  bool probing, free;
claim:
  /* The byte may be in the hands of somebody who evicts. */
  atomic { !held[me] -> held[me] = true }
  STEP;
  generation[me]++;
  do
  :: round == ROUNDS -> break
  :: else ->
    round++;
    STEP;
    atomic { if :: word == 0 -> word = MINE; ENTER; goto owner :: else fi };
again:
    STEP;
    seen = word;
    if
    :: seen == 0 ->
      atomic { if :: word == 0 -> word = MINE + W; ENTER; goto owner :: else -> goto again fi }
    :: else
    fi;
    if
    :: probing ->
      probing = false;
      STEP;
      if
      :: generation[SLOT_OF(seen)] != GENERATION_OF(seen) -> free = true
      :: else ->
        STEP;
        free = SLOT_OF(seen) != me && !held[SLOT_OF(seen)]
      fi;
      STEP;
#ifdef PROBE_ONLY
      atomic { if :: free -> word = MINE + W; ENTER; goto owner :: else -> goto again fi }
#else
      atomic { if :: free && word == seen -> word = MINE + W; ENTER; goto owner :: else -> goto again fi }
#endif
    :: else
    fi;
    atomic {
      if
      :: (seen & W) == 0 -> if :: word == seen -> word = seen + W; seen = word :: else -> goto again fi
      :: else
      fi
    };
    STEP;
    atomic { if :: word == seen -> asleep[me] = true :: else -> goto again fi };
    if
    :: !asleep[me]
    :: deaths < DEATHS -> deaths++; goto died
#ifdef EARLY
    :: asleep[me] -> atomic { asleep[me] = false; probing = true }
#else
    :: timeout -> atomic { asleep[me] = false; probing = true }
#endif
    fi;
    goto again;
owner:
    STEP;
    atomic { inside[me] = false; owners--; was = word; word = 0 };
    STEP;
    if
    :: was >= W -> atomic { wake_one() }
    :: else
    fi
  od;
  /* It leaves. */
  held[me] = false;
  goto ended;
died:
  atomic {
    if :: inside[me] -> inside[me] = false; owners-- :: else fi;
    asleep[me] = false;
    probing = false;
    held[me] = false;
    /* Somebody else may take its slot, in a generation of his own. */
    if :: round < ROUNDS -> goto claim :: else fi
  };
ended:
  skip
}

/* Evicts whoever is dead: locks the byte, and gives it back. */
proctype Evictor() {
  byte slot;
  do
  :: slot < SLOTS ->
    if
    :: atomic { !held[slot] -> held[slot] = true }; held[slot] = false
    :: true
    fi;
    slot++
  :: else -> break
  od
}

init {
  atomic {
    byte i;
    for (i : 0 .. SLOTS - 1) { run Member(i) };
    run Evictor()
  }
}
