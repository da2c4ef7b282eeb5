A client sends EndTxn ahead of the records of its transaction. It is asked to come again, after them.

> init id=x
    journal: producer ids below 1000 are taken
    journal: save x Empty 0/0 last -1 parts [] groups []
    answer: ok 0/0
> end id=x p=0/0 commit
    answer: CONCURRENT_TRANSACTIONS none
> describe id=x
    answer: Empty 0/0 timeout 1m0s open false parts [] groups []
> produce id=x p=0/0 at=a-0 r=one
    answer: ok
> produce id=x p=0/0 at=a-1 r=two
    answer: ok
> end id=x p=0/0 commit
    journal: decide x commit 0/1 at [a-0 a-1] groups [], then 0/1
    marker: commit 0/1 in a-0
    marker: commit 0/1 in a-1
    answer: ok 0/1
> log at=a-0
    0 0/0 one
    1 0/1 commit
    end of log

The next transaction, with offsets.

> end id=x p=0/1 commit
    answer: CONCURRENT_TRANSACTIONS none
> offsets id=x p=0/1 group=g o=o1
    journal: pending o1 of 0/1 for g
    answer: ok
> end id=x p=0/1 commit
    journal: decide x commit 0/2 at [] groups [g], then 0/2
    offsets: commit of 0 in g
    answer: ok 0/2
> groups group=g
    committed [o1] pending []

An abort ahead of its records: the client drops them before it comes again.

> end id=x p=0/2 abort
    answer: CONCURRENT_TRANSACTIONS none
> end id=x p=0/2 abort
    journal: decide x abort 0/3 at [] groups [], then 0/3
    answer: ok 0/3

A client that has nothing to commit learns it when it comes again, once for each epoch.

> end id=x p=0/3 commit
    answer: CONCURRENT_TRANSACTIONS none
> end id=x p=0/3 commit
    answer: INVALID_TXN_STATE none
> end id=x p=0/3 commit
    answer: INVALID_TXN_STATE none
> end id=x p=0/3 abort
    journal: decide x abort 0/4 at [] groups [], then 0/4
    answer: ok 0/4
> end id=x p=0/4 commit
    answer: CONCURRENT_TRANSACTIONS none
> end id=x p=0/4 commit
    answer: INVALID_TXN_STATE none

Others are told at once that they are not the owner, and clients whose epoch stays do not do this.

> end id=x p=0/9 commit
    answer: PRODUCER_FENCED none
> end id=x p=0/4 commit v=1
    answer: INVALID_TXN_STATE none

A start forgets who came early.

> restart
    started
> end id=x p=0/4 abort
    answer: CONCURRENT_TRANSACTIONS none
> end id=x p=0/4 abort
    journal: decide x abort 0/5 at [] groups [], then 0/5
    answer: ok 0/5
