module ravenswood.dev

go 1.26
