package serve

// SettleAll does at once what the server does every second.
func (s *Server) SettleAll() { s.proxies.settleAll() }
