"""The worksheet in letters, second part: derivatives and the chain rule. Steps 22 to 29."""

from __future__ import annotations

from denpa.lab.worksheet.document import Draft, Text

__all__ = ["calculus"]


def calculus(draft: Draft) -> None:
    """Steps 22 to 29."""
    draft.section(Text("Derivatives", "微分の復習"))
    _one_variable(draft)
    _several_variables(draft)
    _chains(draft)


def _one_variable(draft: Draft) -> None:
    draft.step(
        Text("Derivatives, first kind", "微分（その1）"),
        Text(
            "[[Ordinary]] derivative, of a function of [[one]] variable, $y = f(x)$. Slope of the secant:",
            "[[常]]微分（[[1]]変数関数$y = f(x)$の微分）。割線の傾き：",
        ),
        r"\blank{\frac{f(x_1 + \Delta x) - f(x_1)}{\Delta x}} = \frac{\Delta y}{\Delta x}",
        Text(
            r"[[Instantaneous]] rate of change of $y$ with respect to $x$ at $x = x_1$:",
            r"$x = x_1$における$x$に対する$y$の[[瞬間]]変化率：",
        ),
        r"\frac{d y}{d x} = \blank{\lim_{\Delta x \to 0} \frac{\Delta y}{\Delta x}}",
    )
    draft.step(
        Text("Function of a function", "合成関数"),
        Text("$y = f(u)$, $u = g(x)$:", "$y = f(u)$、$u = g(x)$のとき："),
        r"\frac{d y}{d x} = \blank{\frac{d y}{d u} \frac{d u}{d x}}",
        Text(
            "Rate of change of $y$ with respect to $x$ = (rate of $y$ with respect to [[u]]) × (rate of $u$ with "
            "respect to [[x]]).",
            "$x$に対する$y$の変化率 =（[[u]]に対する$y$の変化率）×（[[x]]に対する$u$の変化率）。",
        ),
    )
    draft.step(
        Text("Why this holds", "なぜ成り立つか"),
        r"\frac{d y}{d x} = \blank{\lim_{\Delta x \to 0} \frac{\Delta y}{\Delta x}}"
        r" = \lim_{\Delta x \to 0} \blank{\frac{\Delta y}{\Delta u} \frac{\Delta u}{\Delta x}}",
        r"= \blank{\lim_{\Delta u \to 0} \frac{\Delta y}{\Delta u}} \cdot \lim_{\Delta x \to 0} \blank{\frac{\Delta u}{"
        r"\Delta x}}",
        Text(
            r"This takes $\Delta u \ne 0$ near the point; the rule holds without it as well.",
            r"ここでは点の近くで$\Delta u \ne 0$とした（そうでない場合も公式は成り立つ）。",
        ),
    )


def _several_variables(draft: Draft) -> None:
    draft.step(
        Text("Derivatives, second kind", "微分（その2）"),
        Text(
            "[[Partial]] derivatives, of a function of [[two]] variables, $z = f(x, y)$:",
            "[[偏]]微分（[[2]]変数関数$z = f(x, y)$の微分）：",
        ),
        r"\frac{\partial z}{\partial x} = \lim_{\Delta x \to 0} \blank{\frac{f(x + \Delta x, y) - f(x, y)}{\Delta x}}",
        r"\frac{\partial z}{\partial y} = \lim_{\Delta y \to 0} \blank{\frac{f(x, y + \Delta y) - f(x, y)}{\Delta y}}",
    )
    draft.step(
        Text("Total differential, two variables", "全微分（2変数）"),
        Text(
            r"How much does $z$ change where $x$ changes by $\Delta x$ and $y$ by $\Delta y$?",
            r"$x$が$\Delta x$、$y$が$\Delta y$だけ変わると、$z$はどれだけ変わるか。",
        ),
        r"\Delta z = \blank{\Delta z_x + \Delta z_y}",
        r"\Delta z_x = f(x + \Delta x, y + \Delta y) - \blank{f(x, y + \Delta y)}",
        r"\Delta z_y = f(x, y + \Delta y) - \blank{f(x, y)}",
        r"d z = \blank{\frac{\partial z}{\partial x} d x + \frac{\partial z}{\partial y} d y}",
    )
    draft.step(
        Text("Total differential, n variables", "全微分（n変数）"),
        r"d y = \frac{\partial y}{\partial x_1} d x_1 + \cdots + \frac{\partial y}{\partial x_n} d x_n"
        r" = \blank{\sum_{i=1}^{n} \frac{\partial y}{\partial x_i} d x_i}",
    )


def _chains(draft: Draft) -> None:
    draft.step(
        Text("Chain rule, one variable underneath", "連鎖率（独立変数が1つ）"),
        Text(
            "The underlying variable is $x$ [[only]]: $y = f(u, v)$, $u = g(x)$, $v = h(x)$.",
            "独立変数は$x$[[のみ]]：$y = f(u, v)$、$u = g(x)$、$v = h(x)$。",
        ),
        r"d y = \blank{\frac{\partial y}{\partial u} d u + \frac{\partial y}{\partial v} d v}",
        r"\frac{d y}{d x} = \blank{\frac{\partial y}{\partial u} \frac{d u}{d x} + \frac{\partial y}{\partial v}"
        r" \frac{d v}{d x}}",
        Text("In general, with $u_1, \\ldots, u_n$:", "一般に$u_1, \\ldots, u_n$では："),
        r"\frac{d y}{d x} = \blank{\sum_{r=1}^{n} \frac{\partial y}{\partial u_r} \frac{d u_r}{d x}}",
    )
    draft.step(
        Text("Chain rule, two variables underneath", "連鎖率（独立変数が2つ）"),
        Text(
            "The underlying variables are $x$ [[and y]]: $z = f(u, v)$, $u = g(x, y)$, $v = h(x, y)$.",
            "独立変数は$x$[[とy]]：$z = f(u, v)$、$u = g(x, y)$、$v = h(x, y)$。",
        ),
        r"\frac{\partial z}{\partial x} = \blank{\frac{\partial z}{\partial u} \frac{\partial u}{\partial x}"
        r" + \frac{\partial z}{\partial v} \frac{\partial v}{\partial x}}",
        r"\frac{\partial z}{\partial y} = \blank{\frac{\partial z}{\partial u} \frac{\partial u}{\partial y}"
        r" + \frac{\partial z}{\partial v} \frac{\partial v}{\partial y}}",
        Text("In general, with $u_1, \\ldots, u_n$:", "一般に$u_1, \\ldots, u_n$では："),
        r"\frac{\partial z}{\partial x} = \blank{\sum_{r=1}^{n} \frac{\partial z}{\partial u_r}"
        r" \frac{\partial u_r}{\partial x}} \quad \frac{\partial z}{\partial y} = \blank{\sum_{r=1}^{n}"
        r" \frac{\partial z}{\partial u_r} \frac{\partial u_r}{\partial y}}",
    )
