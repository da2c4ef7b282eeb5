package topology

// DeadLetterTopics gives the topics a topology of that name keeps its dead letters in, and brings them back through.
func DeadLetterTopics(name string) (dead, replay string) {
	return name + ".dead-letters", name + ".replay"
}
