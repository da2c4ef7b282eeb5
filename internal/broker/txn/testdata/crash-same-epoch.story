Transactions of one producer and epoch are told apart by where they begin.

> init id=x
    journal: producer ids below 1000 are taken
    journal: save x Empty 0/0 last -1 parts [] groups []
    answer: ok 0/0
> add id=x p=0/0 at=a-0
    journal: save x Ongoing 0/0 last -1 parts [a-0] groups []
    answer: ok
> add id=x p=0/0 at=b-0
    journal: save x Ongoing 0/0 last -1 parts [a-0 b-0] groups []
    answer: ok
> produce v=1 id=x p=0/0 at=a-0 r=one
    answer: ok
> produce v=1 id=x p=0/0 at=b-0 r=two
    answer: ok
> end v=1 id=x p=0/0 commit
    journal: decide x commit 0/0 at [a-0 b-0] groups [], then 0/0
    marker: commit 0/0 in a-0
    marker: commit 0/0 in b-0
    answer: ok none
> add id=x p=0/0 at=b-0
    journal: save x Ongoing 0/0 last -1 parts [b-0] groups []
    answer: ok
> produce v=1 id=x p=0/0 at=b-0 seq=1 r=three
    answer: ok
> restart power
    missing: commit 0/0 in a-0 from 0
    started
> describe id=x
    answer: Ongoing 0/0 timeout 1m0s open true parts [b-0] groups []
> open
    open:
    b-0 0/0 from 2
> log at=a-0
    0 0/0 one
    1 0/0 commit
    end of log
> log at=b-0
    0 0/0 two
    1 0/0 commit
    2 0/0 three
    end of log
> end v=1 id=x p=0/0 abort
    journal: decide x abort 0/0 at [b-0] groups [], then 0/0
    marker: abort 0/0 in b-0
    answer: ok none
> log at=b-0
    0 0/0 two
    1 0/0 commit
    2 0/0 three
    3 0/0 abort
    end of log
