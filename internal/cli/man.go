package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manEnd is what the root's page says beyond its help, in roff.
const manEnd = `.SH EXIT STATUS
.TP
\fB0\fP
Done.
.TP
\fB1\fP
Failed, or refused.
.TP
\fB2\fP
Usage or configuration.
.TP
\fB3\fP
etcd is out of reach (status, rotate, revoke, import).
.TP
\fB4\fP
Unhealthy: status \-\-check, probe; rotate and revoke if not every node reports that it has the new ring.

.SH ENVIRONMENT
Every key of the configuration but the listeners, in upper case and with underscores for dots:
\fBSTEKRING_ETCD_ENDPOINTS=https://a:2379,https://b:2379\fP.
A flag wins over the environment, which wins over the file.

.SH FILES
.TP
\fB` + defaultConfig + `\fP
The configuration, unless \-\-config names another.

`

func manCmd() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "man [VERB]",
		Short: "Print the manual page of a verb, or write those of all",
		Long:  "Print the manual page of a verb, or of stekring as a whole, for man -l -.\nWith --out, write the pages of all verbs into a folder.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if out != "" {
				if len(args) > 0 {
					return usage("--out writes the pages of all verbs: leave out %q", args)
				}
				if err := os.MkdirAll(out, 0o755); err != nil {
					return err
				}
				return writeMan(cmd.Root(), out)
			}
			about, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("no page for %q", rest)
			}
			if err != nil {
				return &exitError{exitUsage, err}
			}
			page, err := man(about)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(page)
			return err
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (verbs []string, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				for _, c := range cmd.Root().Commands() {
					verbs = append(verbs, c.Name())
				}
			}
			return verbs, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "folder to write the pages of all verbs into")
	return cmd
}

// writeMan writes the pages of a command and all below it.
func writeMan(cmd *cobra.Command, dir string) error {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			if err := writeMan(c, dir); err != nil {
				return err
			}
		}
	}
	page, err := man(cmd)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"), page, 0o644)
}

// man is a command's page. It is the same whenever one build makes it.
func man(cmd *cobra.Command) ([]byte, error) {
	cmd.Root().DisableAutoGenTag = true // which has today's date
	date := committed()
	var b bytes.Buffer
	if err := doc.GenMan(cmd, &doc.GenManHeader{Date: &date, Source: "stekring " + build(), Manual: "stekring"}, &b); err != nil {
		return nil, err
	}
	page := b.Bytes()
	if date.IsZero() {
		page = bytes.Replace(page, []byte(`"`+date.Format("Jan 2006")+`"`), []byte(`""`), 1)
	}
	if !cmd.HasParent() {
		page = bytes.Replace(page, []byte(".SH SEE ALSO"), []byte(manEnd+".SH SEE ALSO"), 1)
	}
	return page, nil
}

// committed is when what was built was committed, as far as the build knows.
func committed() (at time.Time) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				at, _ = time.Parse(time.RFC3339, s.Value)
			}
		}
	}
	return at
}
