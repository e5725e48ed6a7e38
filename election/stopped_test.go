//go:build unix

package election_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Leaders are stopped, as by a hypervisor or a debugger, until their successors
// lead, and write the moment they go on. That their successors have yet to
// write is the worst case: nothing but the fence tells these writes apart.
func TestStoppedLeadersWriteNothing(t *testing.T) {
	const elections, rounds = 10, 5
	w := newWorld(t)
	var duels []*duel
	for i := range elections {
		w.prefix = fmt.Sprintf("/test/stopped/%d", i)
		duels = append(duels, &duel{world: w, both: []*process{w.start("a"), w.start("b")}})
	}

	var stale, control, repeats int
	for open := duels; len(open) > 0; {
		for _, d := range open {
			d.stop()
		}
		for _, d := range open {
			d.succeed()
		}
		for _, d := range open {
			old, ok := d.write()
			if !ok {
				repeats++
				continue
			}
			d.rounds++
			if old.fenced {
				stale++
			}
			if old.unfenced {
				control++
			}
		}
		open = slices.DeleteFunc(slices.Clone(open), func(d *duel) bool { return d.rounds == rounds })
		if repeats > elections*rounds {
			t.Fatalf("in %d rounds a leader lost its lease without being stopped", repeats)
		}
	}
	for _, d := range duels {
		for _, p := range d.both {
			_ = p.in.Close()
		}
	}
	for _, d := range duels {
		for _, p := range d.both {
			p.end()
		}
	}

	t.Logf("stale writes accepted from %d stopped leaders: %d with the fence, %d without; %d rounds done again",
		elections*rounds, stale, control, repeats)
	if stale > 0 {
		t.Errorf("%d of %d stopped leaders wrote through the fence", stale, elections*rounds)
	}
	if control == 0 {
		t.Error("control: no stopped leader wrote without the fence")
	}
}

// duel is one election between two processes.
type duel struct {
	world
	both       []*process
	old, young *process
	led        bool // old, when it was stopped
	rounds     int
}

// stop stops the process that leads.
func (d *duel) stop() {
	d.Helper()
	poll(d, "a or b to lead", func() bool {
		i := slices.IndexFunc(d.both, func(p *process) bool { return len(p.says) > 0 })
		if i >= 0 {
			d.old, d.young = d.both[i], d.both[1-i]
		}
		return i >= 0
	})
	d.old.hear("leads %d", &d.old.term)
	d.old.signal(syscall.SIGSTOP)
	d.led = d.leads(d.old, 0)
}

// succeed waits for the other process to lead.
func (d *duel) succeed() {
	d.Helper()
	d.young.hear("leads %d", &d.young.term)
}

// write has the stopped process go on and write, then its successor. That does
// not count if one of them lost its lease to the machine's other work.
func (d *duel) write() (old answer, ok bool) {
	d.Helper()
	d.old.tell("write") // is there to be read before anything else happens
	d.old.signal(syscall.SIGCONT)
	old = d.wrote(d.old)
	d.young.tell("write")
	young := d.wrote(d.young)
	return old, d.led && !old.leads && young.leads
}

// answer is what became of a process's two writes.
type answer struct {
	fenced, unfenced bool // taken
	leads            bool // by etcd's history, when the fenced one got there
}

func (d *duel) wrote(p *process) (a answer) {
	d.Helper()
	var at int64
	p.hear("wrote fenced=%t unfenced=%t at=%d", &a.fenced, &a.unfenced, &at)
	a.leads = d.leads(p, at)
	if a.fenced != a.leads {
		d.Errorf("%s/%s: fenced write taken = %t, but it led = %t", d.prefix, p.id, a.fenced, a.leads)
	}
	return a
}

// leads says whether etcd has, or had at a revision, the key of a process's term.
func (d *duel) leads(p *process, at int64) bool {
	d.Helper()
	r, err := d.admin.Get(d.Context(), d.prefix+"/", clientv3.WithPrefix(), clientv3.WithRev(at),
		clientv3.WithMinCreateRev(p.term), clientv3.WithMaxCreateRev(p.term))
	if err != nil {
		d.Fatal(err)
	}
	return len(r.Kvs) > 0
}

// process is a candidate in a process of its own. The end of the test kills it.
type process struct {
	*testing.T
	id     string
	cmd    *exec.Cmd
	in     io.WriteCloser
	says   chan string // line by line
	exited chan struct{}
	term   int64 // of which it spoke last
}

func (w world) start(id string) *process {
	w.Helper()
	self, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	p := &process{T: w.T, id: id, says: make(chan string, 10), exited: make(chan struct{})}
	p.cmd = exec.CommandContext(w.Context(), self, w.etcd.Endpoint(), w.prefix, id)
	p.cmd.Env = append(os.Environ(), childEnv+"=1")
	// Should this process die of a signal, the system then ends a stopped
	// child, which cannot see its stdin end.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out io.Reader
	var stderr bytes.Buffer
	p.cmd.Stderr = &stderr
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		if out, err = p.cmd.StdoutPipe(); err == nil {
			err = p.cmd.Start()
		}
	}
	if err != nil {
		w.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.says <- lines.Text()
		}
		close(p.says)
		_ = p.cmd.Wait()
	}()
	w.Cleanup(func() {
		<-p.exited
		if stderr.Len() > 0 {
			w.Errorf("%s/%s: %s", w.prefix, id, &stderr)
		}
	})
	return p
}

func (p *process) signal(s os.Signal) {
	p.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.Fatal(err)
	}
}

func (p *process) tell(line string) {
	p.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.Fatal(err)
	}
}

func (p *process) hear(format string, into ...any) {
	p.Helper()
	line := await(p, p.id+" to say "+format, p.says)
	if _, err := fmt.Sscanf(line, format, into...); err != nil {
		p.Fatalf("%s says %q, want %s", p.id, line, format)
	}
}

// end waits for the process to exit by itself, as it is to when its stdin ends.
func (p *process) end() {
	p.Helper()
	await(p, p.id+" to exit", p.exited)
	if !p.cmd.ProcessState.Success() {
		p.Errorf("%s: %v", p.id, p.cmd.ProcessState)
	}
}
