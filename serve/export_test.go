package serve

import "time"

// SettleAll does at once what the server does every second.
func (s *Server) SettleAll() { s.proxies.settleAll() }

// ForgetHolders does what the server does every second at that time, and says how many holders are left.
func (s *Server) ForgetHolders(now time.Time) (left int) {
	s.holders.forget(now)
	for _, of := range s.holders.of {
		left += len(of)
	}
	return left
}
