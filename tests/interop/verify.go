// verify: checks the log's side of a Renkei receipt with golang.org/x/mod/sumdb, and nothing of Renkei.
//
//	verify receipt FILE                         every NAME.tlog-proof of the archive
//	verify tree FILE OLD.note NEW.note PROOF    that one checkpoint goes on from the other; the key is that of FILE's charter
package main

import (
	"archive/tar"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error, what string) {
	if err != nil {
		log.Fatalf("NOT PROVEN: %s: %v", what, err)
	}
}

func readArchive(file string) (map[string][]byte, []string) {
	f, err := os.Open(file)
	check(err, file)
	defer f.Close()
	members, names := map[string][]byte{}, []string{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return members, names
		}
		check(err, file)
		members[h.Name], err = io.ReadAll(r)
		check(err, h.Name)
		names = append(names, h.Name)
	}
}

// field is the first one of that number in a protobuf message.
func field(message []byte, number uint64) []byte {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 {
			break
		}
		message = message[n:]
		value, n := binary.Uvarint(message)
		if n <= 0 {
			break
		}
		message = message[n:]
		if tag&7 != 2 {
			continue
		}
		if value > uint64(len(message)) {
			break
		}
		if tag>>3 == number {
			return message[:value]
		}
		message = message[value:]
	}
	log.Fatalf("NOT PROVEN: no field %d", number)
	return nil
}

// openNote verifies a checkpoint by the log's key: its size and root.
func openNote(text []byte, key note.Verifier) (int64, tlog.Hash) {
	n, err := note.Open(text, note.VerifierList(key))
	check(err, "checkpoint")
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != key.Name() || lines[3] != "" {
		log.Fatal("NOT PROVEN: not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "size")
	root, err := tlog.ParseHash(lines[2])
	check(err, "root")
	return size, root
}

func hashes(lines []string) []tlog.Hash {
	var list []tlog.Hash
	for _, line := range lines {
		b, err := base64.StdEncoding.DecodeString(line)
		check(err, "hash")
		var h tlog.Hash
		if copy(h[:], b) != len(h) || len(b) != len(h) {
			log.Fatal("NOT PROVEN: a hash of another length")
		}
		list = append(list, h)
	}
	return list
}

func checkLeaf(name string, proof, entry []byte, key note.Verifier) {
	head, text, found := strings.Cut(string(proof), "\n\n")
	lines := strings.Split(head, "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		log.Fatalf("NOT PROVEN: %s: not a proof", name)
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	check(err, name)
	size, root := openNote([]byte(text), key)
	check(tlog.CheckRecord(tlog.RecordProof(hashes(lines[2:])), size, root, index, tlog.RecordHash(entry)), name)
	fmt.Printf("%-14s leaf %d of %d\n", name, index, size)
}

func logKey(members map[string][]byte) note.Verifier {
	charter := members["charter.tbs"]
	if len(charter) < 18+32 {
		log.Fatal("NOT PROVEN: no charter")
	}
	key, err := note.NewVerifier(string(field(charter[18+32:], 10)))
	check(err, "the charter's log_vkey")
	return key
}

func readFile(name string) []byte {
	b, err := os.ReadFile(name)
	check(err, name)
	return b
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: verify receipt FILE | tree FILE OLD NEW PROOF")
	}
	members, names := readArchive(os.Args[2])
	key := logKey(members)
	if os.Args[1] == "tree" && len(os.Args) == 6 {
		oldSize, oldRoot := openNote(readFile(os.Args[3]), key)
		newSize, newRoot := openNote(readFile(os.Args[4]), key)
		proof := hashes(strings.Fields(string(readFile(os.Args[5]))))
		check(tlog.CheckTree(tlog.TreeProof(proof), newSize, newRoot, oldSize, oldRoot), "consistency")
		fmt.Printf("PROVEN: %d leaves go on from %d\n", newSize, oldSize)
		return
	}
	count := 0
	for _, file := range names {
		if name := strings.TrimSuffix(file, ".tlog-proof"); name != file {
			checkLeaf(name, members[file], members[name+".entry"], key)
			count++
		}
	}
	if count == 0 {
		log.Fatal("NOT PROVEN: no proofs")
	}
	fmt.Printf("PROVEN: %d leaves\n", count)
}
