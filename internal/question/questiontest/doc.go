// Package questiontest answers questions in plain Go from a list of events, slowly and obviously.
// It shares no code with what it checks beyond the questions themselves and the form of answers:
// tests compare every database's answers with its.
package questiontest
