package store

// NameOf is the name in the plan of a store that its bolt knows as name: the main one, whose name is empty, is called as
// the bolt, the others after it. Everybody who names a store of a bolt asks here.
func NameOf(bolt, name string) string {
	if name == "" {
		return bolt
	}
	return bolt + "-" + name
}
