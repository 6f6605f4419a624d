package main

import "testing"

func TestWithoutCredentials(t *testing.T) {
	for remote, want := range map[string]string{
		"https://git.example/shop.git":                        "https://git.example/shop.git",
		"https://user:secret@git.example/shop.git":            "https://git.example/shop.git",
		"https://token@git.example/shop.git":                  "https://git.example/shop.git",
		"https://git.example/shop.git?private_token=secret#x": "https://git.example/shop.git",
		"https://user:pa%ss@git.example/x.git":                "", // which Go cannot read
		"ssh://git:secret@git.example/shop.git":               "ssh://git@git.example/shop.git",
		"git@git.example:team/shop.git":                       "git@git.example:team/shop.git",
		"user:secret@git.example:shop.git":                    "",
		"../shop.git":                                         "",
		"":                                                    "",
	} {
		if got := withoutCredentials(remote); got != want {
			t.Errorf("%q: got %q, want %q", remote, got, want)
		}
	}
}
