package pgtest

// Open runs a server for a program that is no test, as one that measures. Close it.
func Open(opts ...Option) (*Server, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	inst, err := find()
	if err != nil {
		return nil, err
	}
	return launch(inst, o)
}

// Close stops a server of Open and removes its files.
func (s *Server) Close() error { return s.close() }
