// SPDX-License-Identifier: Apache-2.0
#include "connections.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <memory>

namespace hairpind::testing {

int Connections::index() {
  // The callback is for every TLS session of the process, with null for those that are not ours. It comes before the
  // socket is closed, so no socket in `open_` is ever somebody else's.
  static const int index =
      SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, [](void*, void* data, CRYPTO_EX_DATA*, int, long, void*) {
        const std::unique_ptr<Connection> ended(static_cast<Connection*>(data));
        if (ended) {
          const std::scoped_lock lock(ended->all->mutex_);
          ended->all->open_.erase(ended.get());
        }
      });
  return index;
}

void Connections::on_tls_state(const SSL* session, int where, int /*result*/) {
  if (where != SSL_CB_HANDSHAKE_START || SSL_get_ex_data(session, index()) != nullptr) {
    return;
  }
  auto* const all = static_cast<Connections*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), 0));
  auto connection = std::make_unique<Connection>(Connection{.all = all, .fd = SSL_get_fd(session)});
  // A child of the test must not hold it open.
  fcntl(connection->fd, F_SETFD, FD_CLOEXEC);
  const std::scoped_lock lock(all->mutex_);
  if (all->refusing_) {
    shutdown(connection->fd, SHUT_RDWR);
  }
  // The callback's const is a mere formality: the caller is httplib with a session of its own.
  SSL_set_ex_data(const_cast<SSL*>(session), index(), connection.get());
  all->open_.insert(connection.release());
}

void Connections::follow(SSL_CTX& tls) {
  SSL_CTX_set_ex_data(&tls, 0, this);
  SSL_CTX_set_info_callback(&tls, on_tls_state);
}

void Connections::refuse(bool refusing) {
  const std::scoped_lock lock(mutex_);
  refusing_ = refusing;
}

void Connections::cut() {
  const std::scoped_lock lock(mutex_);
  refusing_ = true;
  for (const Connection* connection : open_) {
    shutdown(connection->fd, SHUT_RDWR);
  }
}

}  // namespace hairpind::testing
