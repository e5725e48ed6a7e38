#!/bin/sh
# Resumes with openssl s_client. Arguments: server name, CA file, a directory for
# tickets. Reads lines "ADDRESS OFFER KEEP": connect, offer the ticket named
# OFFER, keep the one that is issued as KEEP; - is none. Answers each with New or
# Reused, the lines of the page and an empty line.
name=$1 ca=$2 dir=$3
while read -r address offer keep; do
	set -- -connect "$address" -servername "$name" -CAfile "$ca" -verify_hostname "$name" -verify_return_error -tls1_3
	[ "$offer" = - ] || set -- "$@" -sess_in "$dir/$offer"
	[ "$keep" = - ] || set -- "$@" -sess_out "$dir/$keep"
	# The ticket comes with the answer, which -ign_eof waits for.
	printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$name" |
		openssl s_client "$@" -ign_eof >"$dir/answer" 2>"$dir/trouble" || { cat "$dir/trouble" >&2; exit 1; }
	sed -n -e 's/^New, TLSv1\.3.*/New/p' -e 's/^Reused, TLSv1\.3.*/Reused/p' -e '/^[a-z]*=/p' "$dir/answer"
	echo
done
