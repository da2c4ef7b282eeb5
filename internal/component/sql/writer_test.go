package sql

const writerEnv = "RAVEN_SQL_TEST_WRITER"

func writerMain() int { return 0 }
