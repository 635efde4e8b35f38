package conf

import "strings"

// nearest is the name that key was most likely meant to be: the one with the
// fewest letters changed, or else one that begins or ends as the other does. It
// is "" if none is near enough.
func nearest(key string, names []string) string {
	key = strings.ToLower(key)
	best, least := "", max(1, len(key)/3)+1
	for _, name := range names {
		if d := distance(key, strings.ToLower(name), least); d < least {
			best, least = name, d
		}
	}
	if best != "" || len(key) < 4 {
		return best
	}
	for _, name := range names {
		if strings.HasPrefix(name, key) || strings.HasSuffix(name, "_"+key) || len(name) >= 4 && strings.HasPrefix(key, name) {
			return name
		}
	}
	return ""
}

// distance is the number of letters to put in, take out, change or swap with
// their neighbour to make b of a; limit stands for any number above it.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(change, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
