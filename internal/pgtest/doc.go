// Package pgtest gives tests a real PostgreSQL: a private server made from the installed
// binaries in a temporary directory, on a loopback port, run as an unprivileged user.
//
// URL is for tests that need a database: all of a test binary's share one server, each call has
// a database of its own. Start is for tests that stop, break or measure the server: each has its
// own. A server and its files are gone when the test ends, and also when the test binary dies: a
// small shell holds the other end of a pipe and cleans up when the pipe closes.
//
// Where PostgreSQL is not installed, the tests are skipped with a message on stderr; under
// CI=true that is a failure. TIDEMARK_TEST_POSTGRES_URL names a server to use for URL instead;
// its user must be allowed to create databases.
package pgtest
