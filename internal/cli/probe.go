package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stekring/stekring/config"
	"github.com/stekring/stekring/internal/probe"
	"github.com/stekring/stekring/internal/progress"
)

const maxCA = 1 << 20 // bytes; all that browsers trust is a fifth of it

func probeCmd() *cobra.Command {
	var p probe.Probe
	var ca, version, output string
	cmd := &cobra.Command{
		Use:   "probe HOST:PORT…",
		Short: "Resume at every host with tickets of every other, as clients would",
		Long: "Get a ticket from each host and offer it at each, itself included, in TLS 1.2 and 1.3. Any\n" +
			"TLS server will do. A name stands for all of its addresses. Exit 4 if a pair does not resume.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("probe needs at least one HOST:PORT, such as www.example.com:443")
			}
			for _, a := range args {
				host, port, err := net.SplitHostPort(a)
				if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 {
					return usage("host %q: want HOST:PORT, such as www.example.com:443 or [2001:db8::1]:443", a)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			print, ok := probePrinters[output]
			if !ok {
				return usage("--output %q: want table or json", output)
			}
			if p.Versions, ok = probeVersions[version]; !ok {
				return usage("--tls %q: want 1.2, 1.3 or both", version)
			}
			if p.Timeout <= 0 {
				return usage("--timeout %v: must be more than 0", p.Timeout)
			}
			if p.Roots, err = authorities(ca); err != nil {
				return usage("--ca %q: %w; want a file of certificates in PEM", ca, err)
			}
			p.Hosts = args
			wait := progress.New(cmd.ErrOrStderr())
			p.Tell = func(tried, all int) { wait.Show("%d of %d pairs tried", tried, all) }
			r, err := p.Run(cmd.Context())
			wait.Done()
			if err != nil {
				return errors.New("interrupted before every pair was tried")
			}
			for _, v := range r.Versions {
				for i := range v.Pairs {
					v.Pairs[i].Reason = plain(v.Pairs[i].Reason)
				}
			}
			if err := print(cmd.OutOrStdout(), r); err != nil || r.Healthy {
				return err
			}
			return &exitError{exitUnhealthy, errors.New(verdict(r))}
		},
	}
	cmd.Flags().StringVar(&p.ServerName, "servername", "", "`NAME` to ask for, and that certificates must be for (default the host of each)")
	cmd.Flags().StringVar(&ca, "ca", "", "`FILE` of the CA certificates to trust (default those of the system)")
	cmd.Flags().StringVar(&version, "tls", "both", "1.2, 1.3 or both")
	cmd.Flags().DurationVar(&p.Timeout, "timeout", 5*time.Second, "of each connection")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

var probeVersions = map[string][]uint16{
	"1.2": {tls.VersionTLS12}, "1.3": {tls.VersionTLS13}, "both": {tls.VersionTLS12, tls.VersionTLS13},
}

// authorities reads what to trust; nil is what the system does.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	b, err := config.ReadFile(file, maxCA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b) {
		return nil, errors.New("holds none")
	}
	return roots, nil
}

var probePrinters = map[string]func(io.Writer, probe.Report) error{
	"table": probeTable,
	"json":  func(w io.Writer, r probe.Report) error { return indented(w, r) },
}

// probeTable numbers the hosts, as names are too long for the heads of columns.
func probeTable(out io.Writer, r probe.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, v := range r.Versions {
		if v.Counts {
			matrix(w, r.Hosts, v)
		} else {
			fmt.Fprintf(w, "TLS %s does not count, as %s\n", v.TLS, ticketless(v, ""))
		}
		reasons(w, len(r.Hosts), v)
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, verdict(r))
	return w.Flush()
}

func matrix(w io.Writer, hosts []string, v probe.Version) {
	fmt.Fprintf(w, "TLS %s FROM", v.TLS)
	for i := range hosts {
		fmt.Fprintf(w, "\tAT %d", i+1)
	}
	for i, p := range v.Pairs {
		if i%len(hosts) == 0 {
			fmt.Fprintf(w, "\n%d  %s", i/len(hosts)+1, hosts[i/len(hosts)])
		}
		fmt.Fprintf(w, "\t%s", map[bool]string{true: "yes", false: "no"}[p.Resumed])
	}
	fmt.Fprintln(w)
}

// reasons says why pairs do not resume, each reason once.
func reasons(w io.Writer, n int, v probe.Version) {
	var order []string
	pairs := map[string][]string{}
	for i, p := range v.Pairs {
		if p.Resumed {
			continue
		}
		if pairs[p.Reason] == nil {
			order = append(order, p.Reason)
		}
		pairs[p.Reason] = append(pairs[p.Reason], fmt.Sprintf("%d→%d", i/n+1, i%n+1))
	}
	for _, reason := range order {
		list := strings.Join(pairs[reason], " ")
		if len(pairs[reason]) == len(v.Pairs) {
			list = "every pair"
		}
		fmt.Fprintf(w, "%s: %s\n", list, reason)
	}
}

func verdict(r probe.Report) string {
	var said []string
	for _, v := range r.Versions {
		if v.Counts {
			said = append(said, fmt.Sprintf("%d of %d pairs resume with TLS %s", v.Resumed(), len(v.Pairs), v.TLS))
		} else {
			said = append(said, ticketless(v, " with TLS "+v.TLS))
		}
	}
	return strings.Join(said, "; ")
}

// ticketless blames the hosts only for what they did: a probe that got nowhere
// knows nothing of their tickets.
func ticketless(v probe.Version, with string) string {
	if reason := v.Trouble(); reason != "" {
		return "no ticket came" + with + ": " + reason
	}
	return "no host gives a ticket" + with
}
