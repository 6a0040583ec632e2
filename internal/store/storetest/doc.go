// Package storetest proves that a database keeps the promises of package store. Run is one suite
// for all of them; what only one database can do wrong is tested beside its code.
package storetest
