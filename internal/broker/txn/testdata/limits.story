There is room for two ids. The one that rested for longest makes room; open transactions do not.

> options ids=2
    set
> init id=x
    journal: producer ids below 1000 are taken
    journal: save x Empty 0/0 last -1 parts [] groups []
    answer: ok 0/0
> init id=y
    journal: save y Empty 1/0 last -1 parts [] groups []
    answer: ok 1/0
> init id=z
    journal: save x Dead 0/0 last -1 parts [] groups []
    journal: save z Empty 2/0 last -1 parts [] groups []
    answer: ok 2/0
> describe id=x
    answer: TRANSACTIONAL_ID_NOT_FOUND
> produce id=y p=1/0 at=a-0 r=one
    answer: ok
> produce id=z p=2/0 at=a-0 r=two
    answer: ok
> init id=x
    answer: COORDINATOR_NOT_AVAILABLE none
> list
    answer: ok
    y 1 Ongoing
    z 2 Ongoing
> list state=Ongoing
    answer: ok
    y 1 Ongoing
    z 2 Ongoing
> list state=Empty
    answer: ok
> list producer=2
    answer: ok
    z 2 Ongoing
> list longer=10s
    answer: ok
> wait for=11s
    ticked
> list longer=10s
    answer: ok
    y 1 Ongoing
    z 2 Ongoing
> list pattern=[xy]
    answer: ok
    y 1 Ongoing
> list pattern=(
    answer: INVALID_REGULAR_EXPRESSION
