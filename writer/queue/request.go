package queue

// request picks the blocks of a request, one after the other. It is reused.
type request struct {
	want    Want
	blocks  int
	samples int
	rows    map[uint64]int64 // RowMs of what is in it, by target
}

func (r *request) begin(want Want) {
	r.want, r.blocks, r.samples = want, 0, 0
	clear(r.rows)
}

// takes adds a block, unless that has to wait for the next request.
func (r *request) takes(b *Block) bool {
	if r.blocks > 0 && r.samples+b.Samples > r.want.MaxSamples {
		return false
	}
	if r.want.OneRowPerTarget && b.Target != 0 {
		if rowMs, ok := r.rows[b.Target]; ok && rowMs != b.RowMs {
			return false
		}
		if r.rows == nil {
			r.rows = map[uint64]int64{}
		}
		r.rows[b.Target] = b.RowMs
	}
	r.blocks++
	r.samples += b.Samples
	return true
}

// full reports whether not even the smallest block would be taken.
func (r *request) full() bool { return r.samples >= r.want.MaxSamples }
