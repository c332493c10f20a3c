// Scans a folder with a custom detector, as TruffleHog would: with Go's regular expressions, and with the
// meaning that TruffleHog gives to the fields.
//
// usage: go run trufflehog.go FOLDER DETECTOR.json
//
// Prints a JSON list of [file, secret]. A field that it does not know is an error.
package main

import (
	"encoding/json"
	"log"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

type detector struct {
	Name         string            `json:"name"`
	Description  string            `json:"description"`
	Keywords     []string          `json:"keywords"`
	Regex        map[string]string `json:"regex"`
	Entropy      float64           `json:"entropy"`
	ExcludeWords []string          `json:"exclude_words"`
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func containsAny(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(strings.ToLower(text), word) {
			return true
		}
	}
	return false
}

// entropy returns Shannon's, in bits per character.
func entropy(text string) float64 {
	counts := map[rune]float64{}
	for _, char := range text {
		counts[char]++
	}
	sum := 0.0
	for _, count := range counts {
		share := count / float64(len(text))
		sum -= share * math.Log2(share)
	}
	return sum
}

func main() {
	var rule detector
	file, err := os.Open(os.Args[2])
	check(err)
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	check(decoder.Decode(&rule))
	if len(rule.Regex) != 1 {
		log.Fatal("expected one regular expression")
	}
	expression, err := regexp.Compile(rule.Regex["key"])
	check(err)

	findings := [][2]string{}
	files, err := os.ReadDir(os.Args[1])
	check(err)
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(os.Args[1], file.Name()))
		check(err)
		if !containsAny(string(data), rule.Keywords) {
			continue
		}
		for _, match := range expression.FindAllStringSubmatch(string(data), -1) {
			if secret := match[1]; entropy(secret) >= rule.Entropy && !containsAny(secret, rule.ExcludeWords) {
				findings = append(findings, [2]string{file.Name(), secret})
			}
		}
	}
	check(json.NewEncoder(os.Stdout).Encode(findings))
}
