package proctest

import "testing"

func TestComplaints(t *testing.T) {
	for line, want := range map[string]bool{
		`level=INFO msg="Server is ready to receive web requests."`:                                                                           false,
		`level=warn msg="Received SIGTERM, exiting gracefully..."`:                                                                            false,
		`level=WARN msg="Evaluating rule failed" component="rule manager" file=a.yaml group=g name=A err="found duplicate series"`:            true,
		`level=WARN msg="Evaluating rule failed" component="rule manager" file=a.yaml group=g name=A err="query timed out in expression"`:     false,
		`level=WARN msg="Expanding alert template failed" component="rule manager" alert=A err="error executing template"`:                    true,
		`level=WARN msg="Error on ingesting out-of-order result from rule evaluation" component="rule manager" num_dropped=3`:                 true,
		`level=WARN msg="Error on ingesting samples with different value but same timestamp" component="scrape manager" num_dropped=1`:        true,
		`level=warn component="scrape manager" msg="Error on ingesting out-of-order exemplars" num_dropped=1`:                                 true,
		`level=WARN msg="This option for --enable-feature is now permanently enabled and therefore a no-op." option=x`:                        true,
		`level=ERROR msg="Error sending alerts" component=notifier alertmanager=http://a/api/v2/alerts count=1 err="bad response status 404"`: true,
		`level=ERROR msg="Error sending alerts" component=notifier count=1 err="Post \"http://a\": context deadline exceeded"`:                false,
		`level=ERROR msg="Out of order sample from remote write" component=web err="out of order sample" series="{__name__=\"up\"}"`:          false,
		`level=WARN msg="Error on ingesting out-of-order exemplars" component=web num_dropped=4`:                                              false,
		`level=ERROR msg="Error decoding v1 remote write request" component=web err="unexpected EOF"`:                                         true,
		`level=WARN fs_type=NFS_SUPER_MAGIC msg="This filesystem is not supported and may lead to data corruption and data loss."`:            false,
	} {
		if got := Complaints("a line before\n" + line + "\n"); (len(got) == 1) != want {
			t.Errorf("complaints %q of %s", got, line)
		}
	}
}
