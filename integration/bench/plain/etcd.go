//go:build etcd

package main

import (
	"context"
	"flag"
	"log"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

var endpoints = flag.String("etcd", "http://127.0.0.1:2379", "`URLs` of etcd, separated by commas")

// What a server does that has some use for etcd.
func init() {
	more = func(ctx context.Context) error {
		etcd, err := clientv3.New(clientv3.Config{
			Endpoints:         strings.Split(*endpoints, ","),
			DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
		})
		if err != nil {
			return err
		}
		defer etcd.Close()
		for r := range etcd.Watch(clientv3.WithRequireLeader(ctx), "setting") {
			log.Printf("%d changes, %v", len(r.Events), r.Err())
		}
		return ctx.Err()
	}
}
