package integration

import (
	"bytes"
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/keyring"
)

// TestRunbooks breaks a fleet in every way that there is a runbook for, and
// follows that.
func TestRunbooks(t *testing.T) {
	for name, s := range map[string]struct {
		page     string
		observer bool           // b is
		section  string         // if not Fix
		looks    bool           // the first commands of the section do not mend it
		quiet    bool           // the commands that show that it is over see nothing of it
		keeps    bool           // clients notice nothing
		broken   func(b *bench) // what happens
		says     []string       // what the commands to find the cause show then
		mend     func(b *bench) // what the page has no command for
	}{
		"unreachable": {
			page: "StekringProblem", section: "unreachable", looks: true, keeps: true, broken: func(b *bench) { b.etcd.Down() }, mend: func(b *bench) { b.etcd.Up() },
			says: []string{`"cause": "unreachable"`, "connection refused", "etcd does not answer; will try again", "is unhealthy"},
		},
		"stalled": {
			page: "StekringProblem", section: "stalled", looks: true, keeps: true, says: []string{`"cause": "stalled"`, "database space exceeded", "this node leads and cannot keep the ring", "NOSPACE"},
			broken: func(b *bench) {
				lead(b)
				c := b.etcd.Client()
				members, err := c.MemberList(b.t.Context())
				if err != nil {
					b.t.Fatal(err)
				}
				alarm := &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: members.Members[0].ID, Alarm: pb.AlarmType_NOSPACE}
				if _, err := pb.NewMaintenanceClient(c.ActiveConnection()).Alarm(b.t.Context(), alarm); err != nil {
					b.t.Fatal(err)
				}
			},
		},
		"missing": {
			page: "StekringProblem", section: "missing", looks: true, observer: true, mend: again,
			says: []string{`"cause": "missing"`, "nobody has led yet", "ring in etcd refused"},
			broken: func(b *bench) {
				alone(b)
				if _, err := b.etcd.Client().Delete(b.t.Context(), ringPath); err != nil {
					b.t.Fatal(err)
				}
			},
		},
		"rolled_back": {
			page: "StekringProblem", section: "rolled_back", observer: true, mend: again, says: []string{`"cause": "rolled_back"`, "went back to an older ring"},
			broken: func(b *bench) {
				b.b.share()
				old, version := b.ring(), b.b.status().Info.Version
				eventually(b.t, "two rotations", func() bool { return b.b.status().Info.Version >= version+2 })
				alone(b)
				b.put(ringPath, old)
			},
		},
		"fork": {
			page: "StekringProblem", section: "fork", observer: true, mend: again, says: []string{`"cause": "fork"`, "another ring of the same version"},
			broken: func(b *bench) {
				alone(b)
				other, err := b.kek().Seal(ringPath, keyring.Policy{Interval: interval, TicketLifetime: lifetime}.First(1, b.b.status().Info.Version, time.Now()))
				if err != nil {
					b.t.Fatal(err)
				}
				b.put(ringPath, other)
			},
		},
		"unknown_kek": {
			page: "StekringProblem", section: "unknown_kek", broken: wrongKEK(anotherKEK), mend: func(b *bench) { rightKEK(b); b.restart() },
			says: []string{`"cause": "unknown_kek"`, "sealed under an unknown KEK", "ring in etcd refused"},
		},
		"format": {
			page: "StekringProblem", section: "format", keeps: true, says: []string{`"cause": "format"`, "a later format", "not standing for election"},
			broken: func(b *bench) {
				rec := bytes.Clone(b.ring())
				rec[len("STEKRING")]++
				b.put(ringPath, rec)
			},
		},
		"refused": {
			page: "StekringProblem", section: "refused", broken: wrongKEK(sameID), mend: func(b *bench) { rightKEK(b); b.restart() },
			says: []string{`"cause": "refused"`, "not sealed under KEK"},
		},
		"overdue": {
			page: "StekringRotationOverdue", keeps: true, mend: func(b *bench) { b.etcd.Up() }, says: []string{`cause="unreachable"`, "stekring_is_leader"},
			broken: func(b *bench) {
				b.etcd.Down()
				eventually(b.t, "overdue", func() bool { late, _ := b.b.gauge("rotation_overdue_seconds"); return late > 0 })
			},
		},
		"locally": {
			page: "StekringSealingLocally", mend: func(b *bench) { b.etcd.Up() }, says: []string{`"version": 0`, `"problem"`},
			broken: func(b *bench) { b.etcd.Down(); b.restart() },
		},
		"listener": {
			page: "StekringListenerFailing", broken: func(b *bench) { b.spoil(b.certFile, b.keyFile); b.restart() },
			says: []string{"listener 127.0.0.1:", "handshake failure", `"error":`, "TLS 1.3 cannot use it"}, mend: func(b *bench) { b.certify() },
		},
		"missed": {
			page: "StekringTicketsMissed", quiet: true, says: []string{`stekring_tickets_missed_total{reason="no_key"`},
			broken: func(b *bench) {
				b.b.share()
				v := b.visitor()
				v.resumes(b.b, false)
				mustRun(b.t, "revoke", "--config", b.configure("operator"), "--reason", "test", "--yes")
				eventually(b.t, "a revoke", func() bool { epoch, _ := b.b.gauge("ring_epoch"); return epoch == 2 })
				v.resumes(b.b, false)
			},
		},
		"behind":      {page: "StekringNodeBehind", quiet: true, broken: otherEtcd, mend: sameEtcd, says: []string{`"version": `, "http://127.0.0.1:"}},
		"two leaders": {page: "StekringTwoLeaders", quiet: true, broken: otherEtcd, mend: sameEtcd, says: []string{"LEADER b", "http://127.0.0.1:"}},
		"not following": {
			page: "StekringNotFollowing", quiet: true, keeps: true, broken: func(*bench) {}, says: []string{"stekring_etcd_last_contact_timestamp_seconds{"},
		},
		"no leader": {
			page: "StekringNoLeader", keeps: true, says: []string{"election/somebody"},
			broken: func(b *bench) {
				b.put("/stekring/www/election/somebody", []byte("nobody"))
				b.restart() // to stand behind that
				alone(b)
			},
		},
		"down":     {page: "StekringDown", keeps: true, broken: func(b *bench) { b.b.stop() }, says: []string{"stopping", "ok"}},
		"all down": {page: "StekringAllDown", keeps: true, broken: func(b *bench) { alone(b); b.b.stop() }, says: []string{"000", "stopping"}},
		"stolen":   {page: "stolen-key", quiet: true, broken: func(b *bench) { b.b.share() }},
		"lost": {
			page: "etcd-lost", keeps: true, broken: func(b *bench) { lead(b); b.etcd.Wipe() }, mend: func(b *bench) { b.etcd.Up() },
		},
		"restored": {
			page: "etcd-lost", section: "If no node ran", mend: func(b *bench) { again(b); b.restart() },
			broken: func(b *bench) {
				restore := b.etcd.Save()
				b.b.share()
				b.a.stop()
				b.b.stop()
				restore()
				b.etcd.Up()
			},
		},
		"KEK lost": {
			page: "kek-lost", keeps: true, broken: func(b *bench) {
				lead(b)
				if err := os.Remove(b.kekFile); err != nil {
					b.t.Fatal(err)
				}
			},
		},
		"wrong KEK": {
			page: "wrong-kek", broken: wrongKEK(anotherKEK), mend: rightKEK, says: []string{"sealed under an unknown KEK", `"kek":"`, "kek-b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := sections(read(t, "../docs/runbooks/"+s.page+".md"))
			find, fix := page["Find the cause"], page[cmp.Or(s.section, "Fix")]
			if s.looks {
				find, fix = append(slices.Clone(find), fix[0]), fix[1:]
			}
			var change []func(*config.Config)
			if s.observer {
				change = append(change, func(c *config.Config) { c.Election.Candidate = false })
			}
			b := newBench(t, change...)
			v := b.visitor()
			if s.keeps {
				b.b.share()
				v.resumes(b.b, false)
			}
			s.broken(b)
			b.find(find, s.says...)
			if out, err := b.sh(strict + strings.Join(page["Over"], "\n")); err == nil && !s.quiet {
				t.Errorf("the runbook says too early that it is over:\n%s", out)
			}
			if s.mend != nil {
				s.mend(b)
			}
			b.follow(fix)
			b.follow(page["Over"])
			if s.keeps {
				v.resumes(b.b, true)
			}
		})
	}
}
