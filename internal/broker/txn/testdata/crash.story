What a death at each step of an EndTxn leaves.

Before the decision is in the journal: the transaction is still open.

> init id=x
    journal: producer ids below 1000 are taken
    journal: save x Empty 0/0 last -1 parts [] groups []
    answer: ok 0/0
> produce id=x p=0/0 at=a-0 r=one
    answer: ok
> produce id=x p=0/0 at=a-1 r=two
    answer: ok
> offsets id=x p=0/0 group=g o=o1
    journal: pending o1 of 0/0 for g
    answer: ok
> die in=1
    armed
> end id=x p=0/0 commit
    died
> restart
    started
> describe id=x
    answer: Ongoing 0/0 timeout 1m0s open true parts [a-0 a-1] groups [g]
> groups group=g
    committed [] pending [{{0 0} o1}]

After it: the transaction is committed whatever happens, and the client that asks again is told so.

> die in=3
    armed
> end id=x p=0/0 commit
    journal: decide x commit 0/1 at [a-0 a-1] groups [g], then 0/1
    marker: commit 0/1 in a-0
    died
> open
    open:
    a-1 0/0 from 0
> restart
    missing: commit 0/1 in a-1 from 0
    started
> open
    open:
> groups group=g
    committed [o1] pending []
> end id=x p=0/0 commit
    answer: ok 0/1
> describe id=x
    answer: CompleteCommit 0/1 timeout 1m0s open false parts [] groups []

Markers that a loss of power took away are written again, in transactions that were answered, too.

> produce id=x p=0/1 at=a-0 r=three
    answer: ok
> end id=x p=0/1 commit
    journal: decide x commit 0/2 at [a-0] groups [], then 0/2
    marker: commit 0/2 in a-0
    answer: ok 0/2
> restart power
    missing: commit 0/2 in a-0 from 2
    started
> log at=a-0
    0 0/0 one
    1 0/1 commit
    2 0/1 three
    3 0/2 commit
    end of log

Initialised, but the answer never came: the epoch is used up, nothing else happened.

> init id=x
    journal: save x Empty 0/3 last -1 parts [] groups []
    answer: ok 0/3
> restart
    started
> init id=x
    journal: save x Empty 0/4 last -1 parts [] groups []
    answer: ok 0/4

The producer id of a start is never given out again.

> init id=y
    journal: producer ids below 2000 are taken
    journal: save y Empty 1000/0 last -1 parts [] groups []
    answer: ok 1000/0
