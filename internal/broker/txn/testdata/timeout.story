A transaction that takes longer than its client asked for is given up, two epochs above: no client has the epoch between,
so a late EndTxn does not look like one whose answer got lost.

> next
    never
> init id=x timeout=1m
    journal: producer ids below 1000 are taken
    journal: save x Empty 0/0 last -1 parts [] groups []
    answer: ok 0/0
> produce id=x p=0/0 at=a-0 r=one
    answer: ok
> offsets id=x p=0/0 group=g o=o1
    journal: pending o1 of 0/0 for g
    answer: ok
> next
    in 1m0s
> wait for=59s
    ticked
> wait for=1s
    journal: decide x abort 0/2 at [a-0] groups [g], then 0/2
    marker: abort 0/2 in a-0
    offsets: abort of 0 in g
    ticked
> next
    in 168h0m0s
> end id=x p=0/0 abort
    answer: PRODUCER_FENCED none
> end id=x p=0/0 commit
    answer: PRODUCER_FENCED none
> produce id=x p=0/0 at=a-0 seq=1 r=late
    answer: INVALID_PRODUCER_EPOCH
> offsets id=x p=0/0 group=g o=late
    answer: PRODUCER_FENCED
> init id=x p=0/0
    answer: PRODUCER_FENCED none
> init id=x
    journal: save x Empty 0/3 last -1 parts [] groups []
    answer: ok 0/3
> log at=a-0
    0 0/0 one
    1 0/2 abort
    end of log
> groups group=g
    committed [] pending []

An id that rests for seven days is forgotten, and its producers with it.

> wait for=167h59m59s
    ticked
> wait for=1s
    journal: save x Dead 0/3 last -1 parts [] groups []
    ticked
> describe id=x
    answer: TRANSACTIONAL_ID_NOT_FOUND
> produce id=x p=0/3 at=a-0 r=late
    answer: INVALID_PRODUCER_ID_MAPPING
> next
    never
> restart
    started
> describe id=x
    answer: TRANSACTIONAL_ID_NOT_FOUND
> init id=x
    journal: producer ids below 2000 are taken
    journal: save x Empty 1000/0 last -1 parts [] groups []
    answer: ok 1000/0
