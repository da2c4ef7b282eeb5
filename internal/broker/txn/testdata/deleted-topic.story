A topic is deleted while a transaction is open in it.

> init id=x
    journal: producer ids below 1000 are taken
    journal: save x Empty 0/0 last -1 parts [] groups []
    answer: ok 0/0
> produce id=x p=0/0 at=a-0 r=one
    answer: ok
> produce id=x p=0/0 at=b-0 r=two
    answer: ok
> forget at=a-0
    forgotten
> describe id=x
    answer: Ongoing 0/0 timeout 1m0s open true parts [b-0] groups []
> end id=x p=0/0 commit
    journal: decide x commit 0/1 at [b-0] groups [], then 0/1
    marker: commit 0/1 in b-0
    answer: ok 0/1
