package store

import (
	"slices"
	"testing"
	"time"
)

func TestWideBucketsCoverDays(t *testing.T) {
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d int) time.Time { return start.AddDate(0, 0, d) }
	bucket := func(days, d int) wideBucket { return wideBucket{time.Duration(days) * day, at(d)} }
	part := func(days, from, to int) piece {
		return piece{width: time.Duration(days) * day, from: at(from), to: at(to)}
	}
	for name, c := range map[string]struct {
		wide []wideBucket
		want []piece
	}{
		"none":                          {nil, []piece{part(1, 0, 90)}},
		"one":                           {[]wideBucket{bucket(8, 16)}, []piece{part(1, 0, 16), part(8, 16, 24), part(1, 24, 90)}},
		"neighbours":                    {[]wideBucket{bucket(8, 0), bucket(8, 8), bucket(8, 82)}, []piece{part(8, 0, 16), part(1, 16, 82), part(8, 82, 90)}},
		"narrow ones about a wide one":  {[]wideBucket{bucket(32, 8), bucket(8, 0), bucket(8, 8), bucket(8, 32), bucket(8, 40)}, []piece{part(8, 0, 8), part(32, 8, 40), part(8, 40, 48), part(1, 48, 90)}},
		"what reaches over the ends":    {[]wideBucket{bucket(32, 60), bucket(8, -1), bucket(8, 83)}, []piece{part(1, 0, 90)}},
		"all of it and what is outside": {[]wideBucket{bucket(32, 0), bucket(32, 32), bucket(32, 64), bucket(8, 64), bucket(8, 72), bucket(8, 80)}, []piece{part(32, 0, 64), part(8, 64, 88), part(1, 88, 90)}},
	} {
		if got := covered(part(1, 0, 90), c.wide); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %v\nwant %v", name, got, c.want)
		}
	}
}
