#!/bin/sh
# Explores the models of this folder with Spin (https://spinroot.com), which must be installed: what is right must hold,
# and each variant that is wrong must be refuted. Takes a minute or two.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# explore holds|refuted MODEL [FLAG…]
explore() {
  expected=$1 model=$2
  shift 2
  spin -a "$@" "$here/$model" >spin.log || { cat spin.log; exit 1; }
  cc -w -O2 -DSAFETY -o pan pan.c
  ./pan -m1000000 >pan.log
  errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log)
  found=refuted
  if [ "$errors" = 0 ]; then found=holds; fi
  states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.log)
  depth=$(sed -n 's/.*depth reached \([0-9]*\).*/\1/p' pan.log)
  echo "$found: $model $* ($states states, depth $depth)"
  if [ "$found" != "$expected" ] || grep -q 'max search depth too small' pan.log; then
    echo "expected: $expected"
    cat pan.log
    exit 1
  fi
}

explore holds lock.pml
explore holds lock.pml -DSLOTS=2 -DROUNDS=2
explore holds lock.pml -DEARLY -DDEATHS=1
explore refuted lock.pml -DEARLY -DDEATHS=1 -DPROBE_ONLY
explore holds gate.pml
explore holds gate.pml -DSENDERS=1 -DMESSAGES=3 -DDEATHS=0
explore refuted gate.pml -DDEATHS=0 -DNO_FENCE
explore refuted gate.pml -DDEATHS=0 -DNO_RECHECK
explore holds join.pml
explore holds join.pml -DSENDERS=2 -DSLOTS=1
explore refuted join.pml -DNO_COUNT -DDEATHS=0
explore refuted join.pml -DACTIVE_FIRST -DDEATHS=0
explore refuted join.pml -DNO_BYTE -DDEATHS=0
