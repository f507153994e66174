/* Joining and leaving (native/ring/peers.cc) against the senders' search for room (native/ring/send.cc): each sender
 * keeps the slowest cursor that it found, and looks again when it does not suffice or somebody has joined. Receivers
 * come, read, leave, or die before any of their steps, with the lock or without; slots are claimed anew, and the dead
 * evicted.
 *
 * Shown: no sender writes over a record that a receiver which has joined and lives has not read. Variants:
 *   (none)
 *   -DNO_COUNT     wrong: joining is not counted (is refuted)
 *   -DACTIVE_FIRST wrong: a joiner becomes active before its cursor stands, and joins without the lock (is refuted)
 *   -DNO_BYTE      wrong: a peer is evicted without its byte having been locked (is refuted)
 */
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef SENDERS
#define SENDERS 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#define CAPACITY 2
#define LAST 6
#define VISITS 2
#define NONE 255

byte head, joins, deaths;
byte owner = NONE;      /* of the lock: a sender SLOTS + i, or the receiver of a slot */
bool dead[SLOTS];       /* the owner is, and its byte free: the lock can be stolen */
byte cursor[SLOTS];
bool present[SLOTS];
bool held[SLOTS];
/* What the model knows and the code does not: who is a member, and what he still needs. */
bool member[SLOTS];
byte needs[SLOTS];

#define STEP if :: deaths < DEATHS -> deaths++; goto died :: true fi
/* Free, or held by one who is dead. See lock.pml. */
#define LOCKABLE (owner == NONE || (owner < SLOTS && dead[owner]))

proctype Receiver(byte me) {
  byte visit;
claim:
  if :: visit == VISITS -> goto ended :: else fi;
  visit++;
  atomic { !held[me] -> held[me] = true };
  STEP;
  present[me] = false;
  STEP;
#ifdef ACTIVE_FIRST
  present[me] = true;
  STEP;
  atomic { cursor[me] = head; needs[me] = head; member[me] = true };
  joins++;
#else
  /* The byte is ours now, so that a lock which the last holder of the slot took with it is stolen by its generation. */
  atomic { LOCKABLE -> owner = me; dead[me] = false };
  STEP;
  cursor[me] = head;
  STEP;
  /* From its return on, join promises; the lock keeps head where it is. */
  present[me] = true;
  STEP;
#ifndef NO_COUNT
  joins++;
#endif
  STEP;
  atomic { needs[me] = cursor[me]; member[me] = true; if :: owner == me -> owner = NONE :: else -> assert(false) fi };
#endif
  do
  :: needs[me] < head ->
    STEP;
    /* The copy is made before the cursor says so. */
    needs[me]++;
    STEP;
    cursor[me] = needs[me]
  :: atomic { true -> member[me] = false }; break
  od;
  /* It leaves. */
  present[me] = false;
  held[me] = false;
  goto claim;
died:
  atomic {
    member[me] = false;
    held[me] = false;
    if :: owner == me -> dead[me] = true :: else fi;
    goto claim
  };
ended:
  skip
}

proctype Sender(byte me) {
  byte least, joined, slot, limit, i;
  do
  :: true ->
    atomic { LOCKABLE -> owner = SLOTS + me };
    if
    :: head == LAST -> owner = NONE; break
    :: else
    fi;
    limit = (head + 1 > CAPACITY -> head + 1 - CAPACITY : 0);
    if
    :: limit > 0 && (joins != joined || least < limit) ->
      joined = joins;
      least = NONE;
      slot = 0;
      do
      :: slot < SLOTS ->
        if
        :: present[slot] -> atomic { if :: cursor[slot] < least -> least = cursor[slot] :: else fi }
        :: else
        fi;
        slot++
      :: else -> break
      od;
      if
      :: least < limit ->
        /* Full: the dead are evicted. */
        slot = 0;
        do
        :: slot < SLOTS ->
          if
#ifdef NO_BYTE
          :: present[slot] && cursor[slot] < limit -> present[slot] = false
#else
          :: present[slot] && cursor[slot] < limit ->
            atomic { if :: !held[slot] -> held[slot] = true :: else -> goto next fi };
            present[slot] = false;
            held[slot] = false
#endif
          :: else
          fi;
next:
          slot++
        :: else -> break
        od;
        owner = NONE;
        goto no_room
      :: else
      fi
    :: else
    fi;
    /* Room: what lies below the limit is written over. */
    atomic {
      for (i : 0 .. SLOTS - 1) { assert(!member[i] || needs[i] >= limit) };
    };
    head++;
    owner = NONE;
no_room:
    skip
  od
}

init {
  atomic {
    byte k;
    for (k : 0 .. SLOTS - 1) { run Receiver(k) };
    for (k : 0 .. SENDERS - 1) { run Sender(k) }
  }
}
