package scrape

import (
	"context"
	"io"
	"net/http"
)

// explaining is the page of a target whose input knows more about its errors.
type explaining struct {
	pager
	explain func(error) error
}

func (e explaining) fetch(ctx context.Context, w *walk) (int64, error) {
	n, err := e.pager.fetch(ctx, w)
	if err != nil {
		err = e.explain(err)
	}
	return n, err
}

// send makes the target's request. If it is refused with 401 while a file has a
// new token by now, it is made once more: a token that was replaced between the
// reading of the file and the request costs no scrape.
func (f *fetcher) send(ctx context.Context) (*http.Response, error) {
	req := f.req.Clone(ctx)
	resp, err := f.target.Client.Do(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !f.target.Client.Renewed(req) {
		return resp, err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, discardBytes) // so that the connection can be used again
	resp.Body.Close()
	return f.target.Client.Do(f.req.Clone(ctx))
}
