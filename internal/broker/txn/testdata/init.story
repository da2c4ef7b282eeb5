Who gets a transactional id.

> init id=
    answer: INVALID_REQUEST none
> init id=x timeout=0s
    answer: INVALID_TRANSACTION_TIMEOUT none
> init id=x timeout=16m
    answer: INVALID_TRANSACTION_TIMEOUT none
> init id=x p=7/-1
    answer: INVALID_REQUEST none
> init id=x
    journal: producer ids below 1000 are taken
    journal: save x Empty 0/0 last -1 parts [] groups []
    answer: ok 0/0
> init id=y
    journal: save y Empty 1/0 last -1 parts [] groups []
    answer: ok 1/0
> init id=x
    journal: save x Empty 0/1 last -1 parts [] groups []
    answer: ok 0/1

KIP-360: the owner comes again with its epoch. The same request twice has the same answer.

> init id=x p=0/1
    journal: save x Empty 0/2 last 1 parts [] groups []
    answer: ok 0/2
> init id=x p=0/1
    journal: save x Empty 0/2 last 1 parts [] groups []
    answer: ok 0/2
> init id=x p=0/0
    answer: PRODUCER_FENCED none
> init id=x p=9/1
    answer: PRODUCER_FENCED none

Somebody else takes the id: whoever had it before is fenced.

> init id=x
    journal: save x Empty 0/3 last -1 parts [] groups []
    answer: ok 0/3
> init id=x p=0/2
    answer: PRODUCER_FENCED none
> init id=x p=0/1
    answer: PRODUCER_FENCED none

An id that is not known takes whoever comes.

> init id=z p=12/3
    journal: save z Empty 2/0 last -1 parts [] groups []
    answer: ok 2/0

An open transaction is given up first. The client comes again.

> produce id=x p=0/3 at=a-0 r=one
    answer: ok
> init id=x p=0/2
    answer: PRODUCER_FENCED none
> init id=x
    journal: decide x abort 0/5 at [a-0] groups [], then 0/5
    marker: abort 0/5 in a-0
    answer: CONCURRENT_TRANSACTIONS none
> init id=x
    journal: save x Empty 0/6 last -1 parts [] groups []
    answer: ok 0/6
> produce id=x p=0/3 at=a-0 seq=1 r=late
    answer: INVALID_PRODUCER_EPOCH
> end id=x p=0/3 commit
    answer: PRODUCER_FENCED none
> log at=a-0
    0 0/3 one
    1 0/5 abort
    end of log
