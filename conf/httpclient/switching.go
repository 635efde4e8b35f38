package httpclient

import "net/http"

// A SwitchingError says that a server answered 101 Switching Protocols, which
// nobody asked it for. What follows such an answer is a raw connection that
// neither ends nor obeys the request's context.
type SwitchingError struct{}

func (*SwitchingError) Error() string {
	return "status 101 Switching Protocols: want an answer in HTTP; is this the right URL?"
}

// transport is an http.Transport whose answers can be read to their end.
type transport struct{ *http.Transport }

// RoundTrip makes an error of an answer that is a raw connection.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	_ = resp.Body.Close() // the connection is of no use
	return nil, &SwitchingError{}
}
