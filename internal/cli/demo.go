package cli

import (
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stekring/stekring/internal/demo"
)

// watched calls lost when what is written reaches nobody any more.
type watched struct {
	io.Writer
	lost func()
}

func (w watched) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	if err != nil {
		w.lost()
	}
	return n, err
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

func demoCmd() *cobra.Command {
	var o demo.Options
	var output string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole fleet on this machine, with clients that count what they miss",
		Long: "Run a whole fleet on this machine: etcd, nodes with TLS listeners on the loopback, and\n" +
			"clients that resume at random nodes. It prints what other clients need to join in,\n" +
			"and exits 1 if a ticket was missed.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.Nodes < 1 || o.Nodes > 100:
				return usage("--nodes %d: must be 1 to 100", o.Nodes)
			case o.Interval < demo.MinInterval || o.Interval > 14*time.Hour:
				return usage("--interval %v: must be %v to 14h: a failover takes that long, and a ticket lives 12 intervals", o.Interval, demo.MinInterval)
			case o.Duration < 0:
				return usage("--duration %v: must not be negative; 0 is until interrupted", o.Duration)
			case output != "table" && output != "json":
				return usage("--output %q: want table or json", output)
			}
			// A terminal or a reader that goes away must not leave the demo's files.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
			defer stop()
			signal.Ignore(syscall.SIGPIPE) // Notify would bring those of sockets too
			o.JSON, o.Out = output == "json", cmd.OutOrStdout()
			if !terminal(o.Out) { // to which the demo writes in another way
				o.Out = watched{o.Out, stop}
			}
			return demo.Run(ctx, o)
		},
	}
	cmd.Flags().IntVar(&o.Nodes, "nodes", 3, "how many nodes")
	cmd.Flags().DurationVar(&o.Interval, "interval", 5*time.Second, "from one rotation to the next")
	cmd.Flags().DurationVar(&o.Duration, "duration", 0, "how long; 0 is until interrupted")
	cmd.Flags().BoolVar(&o.KillLeader, "kill-leader", false, "kill the leader after every third rotation, and bring another node to its place")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}
