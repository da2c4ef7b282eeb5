The journal refuses a decision: nothing happened.

> init id=x
    journal: producer ids below 1000 are taken
    journal: save x Empty 0/0 last -1 parts [] groups []
    answer: ok 0/0
> produce id=x p=0/0 at=a-0 r=one
    answer: ok
> refused id=x p=0/0
    answer: journal refused
> describe id=x
    answer: Ongoing 0/0 timeout 1m0s open true parts [a-0] groups []
> produce id=x p=0/0 at=a-1 r=two
    answer: ok
> end id=x p=0/0 commit
    journal: decide x commit 0/1 at [a-0 a-1] groups [], then 0/1
    marker: commit 0/1 in a-0
    marker: commit 0/1 in a-1
    answer: ok 0/1
> refused id=x p=0/1
    answer: CONCURRENT_TRANSACTIONS
