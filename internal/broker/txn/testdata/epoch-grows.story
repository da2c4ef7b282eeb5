A client whose epoch grows with every transaction (KIP-890 part 2).

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
> describe id=x
    answer: Ongoing 0/0 timeout 1m0s open true parts [a-0 a-1] groups [g]
> end id=x p=0/0 commit
    journal: decide x commit 0/1 at [a-0 a-1] groups [g], then 0/1
    marker: commit 0/1 in a-0
    marker: commit 0/1 in a-1
    offsets: commit of 0 in g
    answer: ok 0/1
> describe id=x
    answer: CompleteCommit 0/1 timeout 1m0s open false parts [] groups []
> log at=a-0
    0 0/0 one
    1 0/1 commit
    end of log
> groups group=g
    committed [o1] pending []

The same request again has the same answer; the other way round it is refused.

> end id=x p=0/0 commit
    answer: ok 0/1
> end id=x p=0/0 abort
    answer: INVALID_TXN_STATE none

The old epoch writes nothing more, the sequences of the new one begin at 0.

> produce id=x p=0/0 at=a-0 seq=1 r=late
    answer: INVALID_PRODUCER_EPOCH
> produce id=x p=0/1 at=a-0 seq=1 r=gap
    answer: OUT_OF_ORDER_SEQUENCE_NUMBER
> produce id=x p=0/1 at=a-0 seq=0 r=three
    answer: ok
> end id=x p=0/1 abort
    journal: decide x abort 0/2 at [a-0] groups [], then 0/2
    marker: abort 0/2 in a-0
    answer: ok 0/2
> log at=a-0
    0 0/0 one
    1 0/1 commit
    2 0/1 three
    3 0/2 abort
    end of log

An abort of nothing raises the epoch, a commit of nothing is refused. Both are put off once in each epoch, see
early-end.story.

> end id=x p=0/2 commit
    answer: CONCURRENT_TRANSACTIONS none
> end id=x p=0/2 abort
    journal: decide x abort 0/3 at [] groups [], then 0/3
    answer: ok 0/3
> end id=x p=0/2 abort
    answer: ok 0/3
> end id=x p=0/3 commit
    answer: CONCURRENT_TRANSACTIONS none
> end id=x p=0/9 commit
    answer: PRODUCER_FENCED none
> end id=x p=9/3 commit
    answer: INVALID_PRODUCER_ID_MAPPING none
> end id=nobody p=0/3 commit
    answer: INVALID_PRODUCER_ID_MAPPING none
> end id= p=0/3 commit
    answer: INVALID_REQUEST none

After the producer was initialised anew an old request is fenced, not a retry.

> init id=x
    journal: save x Empty 0/4 last -1 parts [] groups []
    answer: ok 0/4
> end id=x p=0/3 abort
    answer: PRODUCER_FENCED none
> end id=x p=0/4 commit
    answer: CONCURRENT_TRANSACTIONS none
> end id=x p=0/4 abort
    journal: decide x abort 0/5 at [] groups [], then 0/5
    answer: ok 0/5
