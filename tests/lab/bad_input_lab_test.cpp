// SPDX-License-Identifier: Apache-2.0
// What a person may get wrong: one clear line each, on the real binary. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "agent_process.hpp"
#include "lab_test.hpp"

namespace hairpind::testing {
namespace {

class BadInputTest : public LabTest {
 protected:
  struct Ended {
    int status = -1;
    std::string standard_error;
  };

  // A shell line, with $HAIRPIND for the binary.
  static Ended run_shell(const std::string& line) {
    const std::string path = "/tmp/hairpind-bad-input-" + std::to_string(getpid());
    Ended ended;
    ended.status = run_command({"env", std::string("HAIRPIND=") + HAIRPIND_BINARY, "timeout", "20", "ip", "netns",
                                "exec", lab().namespace_name("node"), "sh", "-c", line + " 2>" + path + " >/dev/null"});
    ended.standard_error = read_file(path);
    std::filesystem::remove(path);
    return ended;
  }
};

struct BadInputCase {
  const char* description;
  const char* line;
  int status;
  std::vector<const char*> says;
};

TEST_F(BadInputTest, EndsWithOneLineThatSaysWhatAndWhatToDo) {
  const std::vector<BadInputCase> cases{
      {"no command", "$HAIRPIND", 2, {"expected run, check, audit, status, verify, explain or version"}},
      {"unknown command",
       "$HAIRPIND fly",
       2,
       {"'fly'", "expected run, check, audit, status, verify, explain or version"}},
      {"unparsable --lb", "$HAIRPIND run --lb 10.0.5", 2, {"'10.0.5'", "expected"}},
      {"port out of range", "$HAIRPIND run --lb 10.0.5.5:70000", 2, {"'10.0.5.5:70000'", "from 1 to 65535"}},
      {"port zero", "$HAIRPIND run --lb 10.0.5.5:0", 2, {"'10.0.5.5:0'", "from 1 to 65535"}},
      {"host bits in a prefix", "$HAIRPIND run --lb 10.0.5.5/24", 2, {"10.0.5.0/24"}},
      {"a name for the cluster's DNS", "$HAIRPIND run --cluster-dns kube-dns", 2, {"'kube-dns'", "10.96.0.10"}},
      {"unknown option", "$HAIRPIND run --lbs 10.0.5.5", 2, {"--lbs", "--help"}},
      {"bad value in the environment", "HAIRPIND_LB=nope:x $HAIRPIND run", 2, {"'nope:x'"}},
      {"unknown log level", "$HAIRPIND run --log-level loud", 2, {"loud", "debug"}},
      {"unknown way to attach", "$HAIRPIND run --attach xdp", 2, {"--attach", "xdp", "clsact"}},
      {"timeout out of range", "$HAIRPIND run --handshake-timeout 0", 2, {"--handshake-timeout", "0.1"}},
      {"configuration file missing", "$HAIRPIND run --config /nonexistent.toml", 2, {"/nonexistent.toml"}},
      {"alert path in no directory",
       "$HAIRPIND run --lb 10.0.5.5 --alerts /nonexistent/alerts",
       1,
       {"/nonexistent/alerts", "No such file or directory", "give"}},
      {"alert path is a directory", "$HAIRPIND run --lb 10.0.5.5 --alerts /tmp", 1, {"'/tmp'", "Is a directory"}},
      {"listen address without port",
       "$HAIRPIND run --lb 10.0.5.5 --listen 127.0.0.1",
       1,
       {"'127.0.0.1'", "expected ADDR:PORT"}},
      {"listen port out of range", "$HAIRPIND run --lb 10.0.5.5 --listen 127.0.0.1:99999", 1, {"127.0.0.1:99999"}},
      {"listen address of another machine",
       "$HAIRPIND run --lb 10.0.5.5 --listen 192.0.2.1:9477",
       1,
       {"192.0.2.1:9477", "--listen"}},
      // nginx of the lab's node has this one.
      {"listen address in use",
       "$HAIRPIND run --lb 10.0.5.5 --listen 127.0.0.1:8443",
       1,
       {"127.0.0.1:8443", "Address already in use", "--listen"}},
      {"health listen address in use",
       "$HAIRPIND run --lb 10.0.5.5 --health-listen 127.0.0.1:8443",
       1,
       {"127.0.0.1:8443", "Address already in use", "--health-listen"}},
      {"a certificate without its key",
       "$HAIRPIND run --lb 10.0.5.5 --tls-cert-file /tls.crt",
       2,
       {"--tls-cert-file is given without --tls-key-file", "give both"}},
      {"no such certificate",
       "$HAIRPIND run --lb 10.0.5.5 --tls-cert-file /nonexistent/tls.crt --tls-key-file /nonexistent/tls.key",
       1,
       {"'/nonexistent/tls.crt'", "No such file or directory"}},
      {"no capabilities",
       "setpriv --reuid 65534 --regid 65534 --clear-groups $HAIRPIND run --lb 10.0.5.5",
       1,
       {"CAP_BPF", "CAP_NET_ADMIN", "root"}},
      {"no BTF",
       "unshare -m sh -c 'mount -t tmpfs none /sys/kernel/btf && exec $HAIRPIND run --lb 10.0.5.5'",
       1,
       {"btf", "/sys/kernel/btf/vmlinux"}},
  };
  for (const BadInputCase& test : cases) {
    SCOPED_TRACE(test.description);
    const Ended ended = run_shell(test.line);
    EXPECT_EQ(ended.status, test.status) << ended.standard_error;
    EXPECT_EQ(std::ranges::count(ended.standard_error, '\n'), 1) << ended.standard_error;
    for (const char* const words : test.says) {
      EXPECT_THAT(ended.standard_error, ::testing::HasSubstr(words));
    }
  }
}

TEST_F(BadInputTest, UnknownConfigurationKey) {
  const std::string path = "/tmp/hairpind-bad-config-" + std::to_string(getpid()) + ".toml";
  std::ofstream(path) << "lb = [\"10.0.5.5:443\"]\nnode-nam = \"n1\"\n";
  const Ended ended = run_shell("$HAIRPIND run --config " + path);
  std::filesystem::remove(path);
  EXPECT_EQ(ended.status, 2);
  EXPECT_EQ(std::ranges::count(ended.standard_error, '\n'), 1) << ended.standard_error;
  EXPECT_THAT(ended.standard_error, ::testing::HasSubstr("node-nam"));
}

// The next file opened would be standard error, and the log would go there.
TEST_F(BadInputTest, AClosedStandardErrorPutsNoLogAmongTheAlerts) {
  const std::string path = "/tmp/hairpind-alerts-" + std::to_string(getpid());
  const Ended ended =
      run_shell("sh -c 'timeout --preserve-status 3 $HAIRPIND run --lb 10.0.5.5 --alerts " + path + " 2>&-'");
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(read_file(path), "");
  std::filesystem::remove(path);
}

TEST_F(BadInputTest, AClosedStdoutIsNoAlertStream) {
  const Ended ended = run_shell("sh -c '$HAIRPIND run --lb 10.0.5.5 >&-'");
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.standard_error, ::testing::HasSubstr("give --alerts a file"));
}

// In a cgroup with the limit of a manifest that nobody has made larger.
TEST_F(BadInputTest, MemoryThatIsTooShortIsNamedWithItsLimit) {
  const bool first_version = std::filesystem::exists("/sys/fs/cgroup/memory/cgroup.procs");
  const std::string group =
      std::string("/sys/fs/cgroup/") + (first_version ? "memory/" : "") + "hairpind-test-" + std::to_string(getpid());
  const std::string limit = group + (first_version ? "/memory.limit_in_bytes" : "/memory.max");
  std::error_code error;
  std::filesystem::create_directory(group, error);
  if (!std::filesystem::exists(limit)) {
    std::filesystem::remove(group, error);
    GTEST_SKIP() << "no memory cgroup can be made here";
  }
  std::ofstream(limit) << (64U << 20U);
  const std::string path = "/tmp/hairpind-bad-input-" + std::to_string(getpid());
  // Not by `ip netns exec`, which hides /sys/fs/cgroup.
  const int status = run_command({"unshare", "-n", "timeout", "20", "sh", "-c",
                                  "echo $$ >" + group + "/cgroup.procs && exec " + HAIRPIND_BINARY +
                                      " run --lb 10.0.5.5 --pending-syns 1048576 2>" + path});
  const std::string said = read_file(path);
  std::filesystem::remove(path);
  std::filesystem::remove(group, error);
  EXPECT_EQ(status, 1) << said;
  for (const std::string& words :
       {std::string("Cannot allocate memory"), std::string("--pending-syns 1048576 asks for 208.0 MiB"),
        std::string("64.0 MiB"), limit}) {
    EXPECT_THAT(said, ::testing::HasSubstr(words));
  }
}

TEST_F(BadInputTest, CheckExitsWithOneWhereItCouldNotRun) {
  EXPECT_EQ(run_shell("$HAIRPIND check").status, 0);
  EXPECT_EQ(run_shell("$HAIRPIND check --attach clsact | grep -q 'mode: attach clsact'").status, 0);
  EXPECT_EQ(run_shell("$HAIRPIND check --attach xdp").status, 2);
  EXPECT_EQ(run_shell("setpriv --reuid 65534 --regid 65534 --clear-groups $HAIRPIND check").status, 1);
}

}  // namespace
}  // namespace hairpind::testing
