Open transactions that nobody can end are given up at the start.

The journal of the coordinator is gone:

> init id=x
    journal: producer ids below 1000 are taken
    journal: save x Empty 0/0 last -1 parts [] groups []
    answer: ok 0/0
> produce id=x p=0/0 at=a-0 r=one
    answer: ok
> offsets id=x p=0/0 group=g o=o1
    journal: pending o1 of 0/0 for g
    answer: ok
> lose
    lost
> restart
    missing: abort 0/0 in a-0 from 0 (orphan)
    started
> log at=a-0
    0 0/0 one
    1 0/0 abort
    end of log
> groups group=g
    committed [] pending []

Its producer id is not given to anybody else.

> init id=y
    journal: producer ids below 1001 are taken
    journal: save y Empty 1/0 last -1 parts [] groups []
    answer: ok 1/0
