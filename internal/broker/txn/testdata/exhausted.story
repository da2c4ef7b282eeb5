Epochs end at 32766; then the id gets another producer id.

> epoch id=x p=5/32764
    set
> init id=x
    journal: save x Empty 5/32765 last -1 parts [] groups []
    answer: ok 5/32765
> init id=x p=5/32765
    journal: save x Empty 5/32766 last 32765 parts [] groups []
    answer: ok 5/32766
> init id=x p=5/32765
    journal: save x Empty 5/32766 last 32765 parts [] groups []
    answer: ok 5/32766
> init id=x p=5/32766
    journal: producer ids below 1006 are taken
    journal: save x Empty 6/0 last 32766 parts [] groups []
    answer: ok 6/0
> init id=x p=5/32766
    journal: save x Empty 6/0 last 32766 parts [] groups []
    answer: ok 6/0
> init id=x p=5/32765
    answer: PRODUCER_FENCED none

A transaction at the last epoch: its marker has the epoch after it, the client goes on with the next producer id.

> epoch id=y p=20/32766
    set
> produce id=y p=20/32766 at=a-0 r=one
    answer: ok
> end id=y p=20/32766 commit
    journal: decide y commit 20/32767 at [a-0] groups [], then 20/32767
    marker: commit 20/32767 in a-0
    answer: ok 21/0
> end id=y p=20/32766 commit
    answer: ok 21/0
> end id=y p=20/32766 abort
    answer: INVALID_TXN_STATE none
> describe id=y
    answer: CompleteCommit 21/0 timeout 1m0s open false parts [] groups []
> log at=a-0
    0 20/32766 one
    1 20/32767 commit
    end of log
> restart
    started
> end id=y p=20/32766 commit
    answer: ok 21/0
> produce id=y p=21/0 at=a-0 r=two
    answer: ok
> end id=y p=20/32766 commit
    answer: PRODUCER_FENCED none
> end id=y p=21/0 commit
    journal: decide y commit 21/1 at [a-0] groups [], then 21/1
    marker: commit 21/1 in a-0
    answer: ok 21/1

A transaction at the last epoch is fenced: its client is not told that it ended it.

> epoch id=z p=30/32766
    set
> produce id=z p=30/32766 at=b-0 r=one
    answer: ok
> init id=z
    journal: decide z abort 30/32767 at [b-0] groups [], then 30/32767
    marker: abort 30/32767 in b-0
    answer: CONCURRENT_TRANSACTIONS none
> end id=z p=30/32766 abort
    answer: PRODUCER_FENCED none
> init id=z p=30/32766
    answer: PRODUCER_FENCED none
> init id=z
    journal: producer ids below 2006 are taken
    journal: save z Empty 1006/0 last -1 parts [] groups []
    answer: ok 1006/0
> log at=b-0
    0 30/32766 one
    1 30/32767 abort
    end of log
