//go:build !linux

package main

func limitMalloc() {}
