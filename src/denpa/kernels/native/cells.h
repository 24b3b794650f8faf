// The recurrent cells: the products of a step, and what is done element by element around them.
#pragma once

#include "recurrent.h"

namespace denpa {
namespace {

// i, f, o = sigmoid(u), g = tanh(u), c = f c' + i g, h = o tanh(c); the gates side by side as i f g o.
struct Lstm {
  static constexpr Int kGates = 4, kCarries = 2, kParts = 2;
  static constexpr Product kForward[] = {{0, 4, 16}}, kBackward[] = {{0, 4, 0}};
  static constexpr Int bias(Int gate) { return gate; }

  static void forward(const Forward& s) {
    const Vector i = sigmoid(s.u(kGates, 0)), f = sigmoid(s.u(kGates, 1));
    const Vector g = tanh(s.u(kGates, 2)), o = sigmoid(s.u(kGates, 3));
    const Vector c = f * s.earlier(1) + i * g;
    s.at.write(s.p.gates, i, kGates, 0);
    s.at.write(s.p.gates, f, kGates, 1);
    s.at.write(s.p.gates, g, kGates, 2);
    s.at.write(s.p.gates, o, kGates, 3);
    s.at.write(s.p.after[1], c);
    s.at.write(s.p.after[0], o * tanh(c));
  }

  static void backward(const Walk<Lstm>& walk, const Step& step) {
    walk.each(step, [](const Backward& s) {
      const Vector i = s.at.read(s.p.gates, kGates, 0), f = s.at.read(s.p.gates, kGates, 1);
      const Vector g = s.at.read(s.p.gates, kGates, 2), o = s.at.read(s.p.gates, kGates, 3);
      const Vector e = s.e(), squashed = tanh(s.at.read(s.p.carry[1]));
      const Vector dc = s.read(1) + e * o * (1.0f - squashed * squashed);
      s.at.write(s.p.delta, dc * g * i * (1.0f - i), kGates, 0);
      s.at.write(s.p.delta, dc * s.earlier(1) * f * (1.0f - f), kGates, 1);
      s.at.write(s.p.delta, dc * i * (1.0f - g * g), kGates, 2);
      s.at.write(s.p.delta, e * squashed * o * (1.0f - o), kGates, 3);
      s.write(1, dc * f);
    });
    walk.multiply(step, 0, false, 0, false);
  }
};

// z, r = sigmoid(u), n = tanh(u), h = z h' + (1 - z) n; the gates side by side as z r n.
struct Gru {
  static constexpr Int kGates = 3, kCarries = 1;

  static void mix(const Forward& s, Vector z, Vector n) {
    s.at.write(s.p.gates, n, kGates, 2);
    s.at.write(s.p.after[0], n + z * (s.earlier(0) - n));
  }

  // Writes the delta of z and what reaches h' beside the gates; gives the delta of n.
  static Vector unmix(const Backward& s) {
    const Vector z = s.at.read(s.p.gates, kGates, 0), n = s.at.read(s.p.gates, kGates, 2), e = s.e();
    const Vector delta_n = e * (1.0f - z) * (1.0f - n * n);
    s.at.write(s.p.delta, e * (s.earlier(0) - n) * z * (1.0f - z), kGates, 0);
    s.at.write(s.p.delta, delta_n, kGates, 2);
    s.write(0, e * z);
    return delta_n;
  }
};

// u_n = d + (r h') Wh_n + b: a second product, for which r has to be known for all units.
struct GruBefore : Gru {
  static constexpr Int kParts = 2;  // the second: what reaches r h'
  static constexpr Product kForward[] = {{0, 2, 32}, {2, 1, 48}}, kBackward[] = {{0, 2, 0}, {2, 1, 0}};
  static constexpr Int bias(Int gate) { return gate; }

  static void forward(const Forward& s) {
    if (s.product.gate == 2) return mix(s, s.at.read(s.p.gates, kGates, 0), tanh(s.u(kGates, 2)));
    const Vector r = sigmoid(s.u(kGates, 1));
    s.at.write(s.p.gates, sigmoid(s.u(kGates, 0)), kGates, 0);
    s.at.write(s.p.gates, r, kGates, 1);
    store(s.inner, r * s.earlier(0), s.at.lanes);
  }

  // r h' goes to `inner`: the gradient of Wh_n wants it.
  static void backward(const Walk<GruBefore>& walk, const Step& step) {
    walk.each(step, [](const Backward& s) {
      unmix(s);
      s.at.write(s.p.inner, s.at.read(s.p.gates, kGates, 1) * s.earlier(0));
    });
    walk.multiply(step, 1, false, 1, false);
    walk.each(step, [](const Backward& s) {
      const Vector r = s.at.read(s.p.gates, kGates, 1), q = s.read(1);
      s.at.write(s.p.delta, q * s.earlier(0) * r * (1.0f - r), kGates, 1);
      s.write(0, s.read(0) + q * r);
    });
    walk.multiply(step, 0, false, 0, true);
  }
};

// u_n = d + r m + b with m = h' Wh_n + bh, which is kept in `inner`. bh is a fourth part of the bias.
struct GruAfter : Gru {
  static constexpr Int kParts = 1;
  static constexpr Product kForward[] = {{0, 3, 16}}, kBackward[] = {{0, 2, 0}, {2, 1, 0}};
  static constexpr Int bias(Int gate) { return gate < 2 ? gate : 3; }

  static void forward(const Forward& s) {
    const Vector z = sigmoid(s.u(kGates, 0)), r = sigmoid(s.u(kGates, 1)), m = s.sum(2);
    const Vector b = load(s.p.bias + 2 * s.at.units + s.at.unit, s.at.lanes);
    s.at.write(s.p.gates, z, kGates, 0);
    s.at.write(s.p.gates, r, kGates, 1);
    s.at.write(s.p.inner, m);
    mix(s, z, tanh(s.at.read(s.p.drive, kGates, 2) + b + r * m));
  }

  // The delta of m goes to where m was.
  static void backward(const Walk<GruAfter>& walk, const Step& step) {
    walk.each(step, [](const Backward& s) {
      const Vector r = s.at.read(s.p.gates, kGates, 1), delta_n = unmix(s);
      s.at.write(s.p.delta, delta_n * s.at.read(s.p.kept) * r * (1.0f - r), kGates, 1);
      s.at.write(s.p.inner, delta_n * r);
    });
    walk.multiply(step, 0, false, 0, true);
    walk.multiply(step, 1, true, 0, true);
  }
};

// h = tanh(u) or max(0, u)
template <bool kTanh>
struct Rnn {
  static constexpr Int kGates = 1, kCarries = 1, kParts = 1;
  static constexpr Product kForward[] = {{0, 1, 48}}, kBackward[] = {{0, 1, 0}};
  static constexpr Int bias(Int gate) { return gate; }

  static void forward(const Forward& s) {
    const Vector u = s.u(kGates, 0);
    s.at.write(s.p.after[0], kTanh ? tanh(u) : relu(u));
  }

  static void backward(const Walk<Rnn>& walk, const Step& step) {
    walk.each(step, [](const Backward& s) {
      const Vector h = s.at.read(s.p.carry[0]), e = s.e();
      s.at.write(s.p.delta, kTanh ? e * (1.0f - h * h) : keep(e, h > 0.0f));
    });
    walk.multiply(step, 0, false, 0, false);
  }
};

}  // namespace
}  // namespace denpa
