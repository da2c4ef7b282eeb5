What a checkpoint of the journal keeps.

> init id=x
    journal: producer ids below 1000 are taken
    journal: save x Empty 0/0 last -1 parts [] groups []
    answer: ok 0/0
> add id=x p=0/0 at=a-0
    journal: save x Ongoing 0/0 last -1 parts [a-0] groups []
    answer: ok
> produce v=1 id=x p=0/0 at=a-0 r=one
    answer: ok
> checkpoint
    kept: producer ids below 1000 are taken
    kept: save x Ongoing 0/0 last -1 parts [a-0] groups []
    written
> end v=1 id=x p=0/0 commit
    journal: decide x commit 0/0 at [a-0] groups [], then 0/0
    marker: commit 0/0 in a-0
    answer: ok none
> checkpoint
    kept: producer ids below 1000 are taken
    kept: save x CompleteCommit 0/0 last -1 parts [] groups []
    written
> restart
    started
> describe id=x
    answer: CompleteCommit 0/0 timeout 1m0s open false parts [] groups []
