A client whose epoch stays (EndTxn 4 and older).

> init id=x
    journal: producer ids below 1000 are taken
    journal: save x Empty 0/0 last -1 parts [] groups []
    answer: ok 0/0
> produce v=1 id=x p=0/0 at=a-0 r=one
    answer: TRANSACTION_ABORTABLE
> add id=x p=0/0 at=a-0
    journal: save x Ongoing 0/0 last -1 parts [a-0] groups []
    answer: ok
> add id=x p=0/0 at=a-0
    journal: save x Ongoing 0/0 last -1 parts [a-0] groups []
    answer: ok
> verify id=x p=0/0 at=a-0
    answer: ok
> verify id=x p=0/0 at=a-1
    answer: TRANSACTION_ABORTABLE
> produce v=1 id=x p=0/0 at=a-0 r=one
    answer: ok
> produce v=1 id=x p=0/0 at=a-0 r=one
    answer: ok
> offsets v=1 id=x p=0/0 group=g o=o1
    answer: TRANSACTION_ABORTABLE
> addoffsets id=x p=0/0 group=g
    journal: save x Ongoing 0/0 last -1 parts [a-0] groups [g]
    answer: ok
> offsets v=1 id=x p=0/0 group=g o=o1
    journal: pending o1 of 0/0 for g
    answer: ok
> end v=1 id=x p=0/0 commit
    journal: decide x commit 0/0 at [a-0] groups [g], then 0/0
    marker: commit 0/0 in a-0
    offsets: commit of 0 in g
    answer: ok none
> end v=1 id=x p=0/0 commit
    answer: ok none
> end v=1 id=x p=0/0 abort
    answer: INVALID_TXN_STATE none

The next transaction has the same epoch, and its sequences go on.

> verify id=x p=0/0 at=a-0
    answer: TRANSACTION_ABORTABLE
> add id=x p=0/0 at=a-0
    journal: save x Ongoing 0/0 last -1 parts [a-0] groups []
    answer: ok
> produce v=1 id=x p=0/0 at=a-0 seq=1 r=two
    answer: ok
> end v=1 id=x p=0/0 abort
    journal: decide x abort 0/0 at [a-0] groups [], then 0/0
    marker: abort 0/0 in a-0
    answer: ok none
> end v=1 id=x p=0/0 abort
    answer: ok none
> end v=1 id=x p=0/0 commit
    answer: INVALID_TXN_STATE none
> log at=a-0
    0 0/0 one
    1 0/0 commit
    2 0/0 two
    3 0/0 abort
    end of log
> end v=1 id=x p=0/1 commit
    answer: PRODUCER_FENCED none
> end v=1 id=x p=1/0 commit
    answer: INVALID_PRODUCER_ID_MAPPING none
> end v=1 id=nobody p=0/0 commit
    answer: INVALID_PRODUCER_ID_MAPPING none
> init id=x
    journal: save x Empty 0/1 last -1 parts [] groups []
    answer: ok 0/1
> end v=1 id=x p=0/1 commit
    answer: INVALID_TXN_STATE none
> end v=1 id=x p=0/1 abort
    answer: INVALID_TXN_STATE none
> add id=x p=0/0 at=a-0
    answer: PRODUCER_FENCED
> add id=x p=5/0 at=a-0
    answer: INVALID_PRODUCER_ID_MAPPING
> add id=nobody p=5/0 at=a-0
    answer: INVALID_PRODUCER_ID_MAPPING
> add id= p=5/0 at=a-0
    answer: INVALID_REQUEST
