{#
    Net Promoter Score and its uncertainty. p, a, d are counts of promoters, passives and detractors, n their sum.
    Interval: adjusted Wald, 3/4 added to p and d and 3/2 to a (Rocks, "Interval Estimation for the Net Promoter
    Score", The American Statistician 2016). The headline stays the raw score. Numbers are rounded to six decimals, so that
    both engines show the same.
#}

{# The only SQL home of the bands; closedloop.programme.band_of is its twin. #}
{% macro nps_category(score) -%}
    case
        when {{ score }} between 0 and 6 then 'detractor'
        when {{ score }} between 7 and 8 then 'passive'
        when {{ score }} between 9 and 10 then 'promoter'
    end
{%- endmacro %}

{# Raw score on -100..100; null where nobody answered. #}
{% macro nps(p, d, n) %}round(cast(100 as double) * ({{ p }} - {{ d }}) / nullif({{ n }}, 0), 6){% endmacro %}

{# Centre of the interval on -1..1, and the variance of one answer round it. #}
{% macro nps_centre(p, d, n) %}(({{ p }} - {{ d }}) / (cast({{ n }} as double) + 3)){% endmacro %}
{% macro nps_variance(p, d, n) -%}
    ((cast({{ p }} + {{ d }} as double) + 1.5) / (cast({{ n }} as double) + 3) - {{ nps_centre(p, d, n) }} * {{ nps_centre(p, d, n) }})
{%- endmacro %}
{% macro nps_half_width(p, d, n) -%}
    (1.959964 * sqrt({{ nps_variance(p, d, n) }} / (cast({{ n }} as double) + 3)))
{%- endmacro %}

{# Ends of the 95 % interval on -100..100, clipped. #}
{% macro nps_low(p, d, n) -%}
    round(greatest(cast(-100 as double), 100 * ({{ nps_centre(p, d, n) }} - {{ nps_half_width(p, d, n) }})), 6)
{%- endmacro %}
{% macro nps_high(p, d, n) -%}
    round(least(cast(100 as double), 100 * ({{ nps_centre(p, d, n) }} + {{ nps_half_width(p, d, n) }})), 6)
{%- endmacro %}

{#
    Two-sided p-value of a standard normal z. Error function by Abramowitz and Stegun 7.1.26, absolute error below
    1.5e-7: neither engine has one.
#}
{% macro normal_p_value(z) -%}
    {%- set t = '(1.0 / (1.0 + 0.3275911 * abs(' ~ z ~ ') / sqrt(2.0)))' -%}
    (
        (((((1.061405429 * {{ t }} - 1.453152027) * {{ t }} + 1.421413741) * {{ t }} - 0.284496736) * {{ t }})
            + 0.254829592) * {{ t }} * exp(-({{ z }}) * ({{ z }}) / 2.0)
    )
{%- endmacro %}
