package store

import "testing"

// WriteSetting reads a server's parameter as the writers' connections have it.
func WriteSetting(t *testing.T, s *Store, name string) (value string) {
	t.Helper()
	if err := s.p.write.Get(&value, "SELECT current_setting($1)", name); err != nil {
		t.Fatal(err)
	}
	return value
}

// Vacuum does at once what PostgreSQL's autovacuum does within a minute or so.
func Vacuum(t testing.TB, s *Store) {
	t.Helper()
	if s.Dialect() != "postgres" {
		return
	}
	if _, err := s.p.admin.Exec("VACUUM ANALYZE events"); err != nil {
		t.Fatal(err)
	}
}

// TakeQuestionSlots makes it seem as if as many questions were under way as may be, until release.
func TakeQuestionSlots(s *Store) (release func()) {
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	return func() {
		for range cap(s.slots) {
			<-s.slots
		}
	}
}
